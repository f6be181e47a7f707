#include "engine/http/chat_request.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/http/body_fields.h"
#include "engine/model/json_file.h"

namespace spolia::engine {

namespace {

using Json = nlohmann::json;

std::string contentText(BodyFields& reader, const Json& message, const std::string& param) {
  const Json* content = reader.find(message, "content");
  if (content && content->is_string()) return content->get<std::string>();
  std::string out;
  if (!content || !content->is_array()) {
    reader.fail(param, content, "a text or an array of parts of type \"text\"");
    return out;
  }
  for (size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    const std::string place = param + "[" + std::to_string(i) + "]";
    if (!part.is_object()) {
      reader.fail(place, &part, "an object");
      break;
    }
    const Json* type = reader.find(part, "type");
    const Json* text = reader.find(part, "text");
    if (!type || *type != "text") {
      reader.fail(place + ".type", type, "\"text\": this model reads no other parts");
    } else if (!text || !text->is_string()) {
      reader.fail(place + ".text", text, "a text");
    } else {
      out += text->get<std::string>();
    }
  }
  return out;
}

void readMessages(BodyFields& reader, ChatRequest& out) {
  constexpr std::array kRoles = {"system", "developer", "user", "assistant"};
  const Json* messages = reader.find("messages");
  if (!messages || !messages->is_array() || messages->empty()) {
    return reader.fail("messages", messages, "an array of messages, at least one");
  }
  for (size_t i = 0; i < messages->size(); ++i) {
    const Json& message = (*messages)[i];
    const std::string param = "messages[" + std::to_string(i) + "]";
    if (!message.is_object()) return reader.fail(param, &message, "an object");
    const Json* role = reader.find(message, "role");
    if (!role || !role->is_string() ||
        std::ranges::find(kRoles, role->get<std::string>()) == kRoles.end()) {
      return reader.fail(param + ".role", role,
                         "\"system\", \"developer\", \"user\" or \"assistant\"");
    }
    out.messages.push_back(
        {role->get<std::string>(), contentText(reader, message, param + ".content")});
  }
  if (out.messages.back().role != "user") {
    reader.fail("messages[" + std::to_string(messages->size() - 1) + "].role",
                &messages->back()["role"], "\"user\": the last message is what is answered");
  }
}

void readDocuments(BodyFields& reader, ChatRequest& out) {
  const Json* documents = reader.find("documents");
  if (!documents) return;
  constexpr const char* kEntry = "a document's name, or an object with \"name\" or \"text\"";
  if (!documents->is_array()) return reader.fail("documents", documents, "an array of documents");
  for (size_t i = 0; i < documents->size(); ++i) {
    const Json& entry = (*documents)[i];
    const std::string param = "documents[" + std::to_string(i) + "]";
    ChatDocument document;
    if (entry.is_string()) {
      document.name = entry.get<std::string>();
    } else if (entry.is_object()) {
      const Json* name = reader.find(entry, "name");
      const Json* text = reader.find(entry, "text");
      if (name && !name->is_string()) return reader.fail(param + ".name", name, "a text");
      if (text && !text->is_string()) return reader.fail(param + ".text", text, "a text");
      if (!name && !text) return reader.fail(param, &entry, kEntry);
      if (name) document.name = name->get<std::string>();
      if (text) document.text = text->get<std::string>();
    } else {
      return reader.fail(param, &entry, kEntry);
    }
    out.documents.push_back(std::move(document));
  }
}

void readTemplateArguments(BodyFields& reader, ChatRequest& out) {
  constexpr const char* kName = "chat_template_kwargs";
  constexpr std::array kTaken = {"messages", "add_generation_prompt", "tools"};
  const Json* arguments = reader.find(kName);
  if (!arguments) return;
  if (!arguments->is_object()) return reader.fail(kName, arguments, "an object");
  for (const auto& [name, json] : arguments->items()) {
    if (std::ranges::find(kTaken, name) != kTaken.end()) {
      return reader.refuse(kName, std::string(kName) + "." + name + " is not for requests to set");
    }
    Result<jinja::Value> value = jinja::valueOf(nlohmann::ordered_json(json));
    if (!value.ok()) return reader.refuse(kName, value.status().message());
    out.templateArguments.emplace_back(name, *std::move(value));
  }
}

// Fields that ask for what is not done.
void refuseOthers(BodyFields& reader) {
  if (const Json* format = reader.find("response_format")) {
    const Json* type = format->is_object() ? reader.find(*format, "type") : nullptr;
    if (!type || *type != "text") {
      reader.refuse("response_format",
                    "response_format other than {\"type\": \"text\"} is not supported");
    }
  }
  refuseFields(reader, {"tools", "functions", "audio"});
}

}  // namespace

std::variant<ChatRequest, ApiError> parseChatRequest(std::string_view body) {
  const std::variant<Json, ApiError> parsed = parseBody(body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const Json& object = std::get<Json>(parsed);
  BodyFields reader(object);
  ChatRequest out;
  out.model = reader.text("model", true);
  readMessages(reader, out);
  readDocuments(reader, out);
  readTemplateArguments(reader, out);
  refuseOthers(reader);
  readAnswerFields(reader, object, out);
  out.logprobs = readLogprobs(reader);
  out.topDocuments = reader.count("top_documents", 1, 1'000'000);
  if (reader.error()) return *reader.error();
  return out;
}

}  // namespace spolia::engine
