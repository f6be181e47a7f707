#include "engine/http/chat_request.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/model/json_file.h"

namespace spolia::engine {

namespace {

using Json = nlohmann::json;

constexpr uint32_t kMostTokens = 1u << 24;

// Whether brackets nest deeper than kMaxBodyDepth. Told before parsing, so that hostile nesting
// costs neither stack nor memory.
bool isTooDeep(std::string_view body) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (inString) {
      if (c == '\\') ++i;
      if (c == '"') inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxBodyDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// The body as JSON; discarded where it is none, and `error` then says why.
Json parseBounded(std::string_view body, std::string& error) {
  if (isTooDeep(body)) {
    error = "the body nests deeper than " + std::to_string(kMaxBodyDepth) + " levels";
    return Json(Json::value_t::discarded);
  }
  try {
    return Json::parse(body);
  } catch (const Json::exception& failure) {
    error = std::string("the body is not valid JSON: ") + failure.what();
    return Json(Json::value_t::discarded);
  }
}

// Reads fields; keeps the first error.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  const std::optional<ApiError>& error() const { return error_; }

  const Json* find(const Json& object, const char* name) const {
    const auto at = object.find(name);
    return at == object.end() || at->is_null() ? nullptr : &*at;
  }
  const Json* find(const char* name) const { return find(object_, name); }

  void fail(const std::string& param, const Json* found, const std::string& expected) {
    if (error_) return;
    const std::string is = found ? "is " + describeJson(*found) : "is missing";
    error_ = badField(param, param + " " + is + ", expected " + expected);
    if (!found) error_->code = "missing_required_parameter";
  }
  void refuse(const std::string& param, const std::string& message) {
    if (!error_) error_ = badField(param, message);
    if (error_->param == param) error_->code = "unsupported_value";
  }

  std::string text(const char* name, bool required) {
    const Json* value = find(name);
    if (value && value->is_string()) return value->get<std::string>();
    if (value || required) fail(name, value, "a text");
    return {};
  }
  bool flag(const Json& object, const char* name, const std::string& param) {
    const Json* value = find(object, name);
    if (!value) return false;
    if (!value->is_boolean()) fail(param, value, "true or false");
    return value->is_boolean() && value->get<bool>();
  }
  std::optional<uint32_t> count(const Json& object, const char* name, const std::string& param,
                                uint32_t low, uint32_t high) {
    const Json* value = find(object, name);
    if (!value) return std::nullopt;
    // 16.0 is a count too: some clients know one kind of number only.
    if (value->is_number()) {
      const double number = value->get<double>();
      if (number >= low && number <= high && number == std::floor(number)) {
        return static_cast<uint32_t>(number);
      }
    }
    fail(param, value,
         "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return std::nullopt;
  }

 private:
  const Json& object_;
  std::optional<ApiError> error_;
};

std::string contentText(Reader& reader, const Json& message, const std::string& param) {
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

void readMessages(Reader& reader, ChatRequest& out) {
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

void readDocuments(Reader& reader, ChatRequest& out) {
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

void readLink(Reader& reader, ChatRequest& out) {
  const Json* link = reader.find("link");
  if (!link) return;
  if (!link->is_object())
    return reader.fail("link", link, "an object with \"method\", \"k\" or \"patience_ms\"");
  out.k = reader.count(*link, "k", "link.k", 1, 1'000'000);
  out.patienceMs = reader.count(*link, "patience_ms", "link.patience_ms", 0, 3'600'000);
  const Json* method = reader.find(*link, "method");
  if (!method) return;
  if (!method->is_string()) return reader.fail("link.method", method, "the name of a method");
  const Result<LinkMethod> parsed = linkMethodFromName(method->get<std::string>());
  if (!parsed.ok())
    return reader.refuse("link.method", "link.method: " + parsed.status().message());
  out.method = *parsed;
}

void readStop(Reader& reader, ChatRequest& out) {
  constexpr size_t kMost = 4;
  const Json* stop = reader.find("stop");
  if (!stop) return;
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  for (const Json& text : list) {
    if (!text.is_string() || text.get<std::string>().empty() || list.size() > kMost) {
      return reader.fail("stop", stop, "a text, or up to four of them, none empty");
    }
    out.stop.push_back(text.get<std::string>());
  }
}

// Fields whose values ask for more than greedy decoding of one choice.
void refuseSampling(Reader& reader) {
  struct Only {
    const char* name;
    double low, high;  // what the API allows
    double accepted;   // the value that changes nothing
  };
  constexpr Only kFields[] = {
      {"n", 1, 128, 1}, {"presence_penalty", -2, 2, 0}, {"frequency_penalty", -2, 2, 0}};
  for (const Only& field : kFields) {
    const Json* value = reader.find(field.name);
    if (!value) continue;
    const double number = value->is_number() ? value->get<double>() : NAN;
    if (!(number >= field.low && number <= field.high)) {
      reader.fail(field.name, value,
                  "a number from " + Json(field.low).dump() + " to " + Json(field.high).dump());
    } else if (number != field.accepted) {
      reader.refuse(field.name, std::string(field.name) + " other than " +
                                    Json(field.accepted).dump() + " is not supported");
    }
  }
  if (const Json* format = reader.find("response_format")) {
    const Json* type = format->is_object() ? reader.find(*format, "type") : nullptr;
    if (!type || *type != "text") {
      reader.refuse("response_format",
                    "response_format other than {\"type\": \"text\"} is not supported");
    }
  }
  for (const char* name : {"logprobs", "tools", "functions", "audio", "logit_bias"}) {
    const Json* value = reader.find(name);
    if (value && *value != false && !(value->is_structured() && value->empty())) {
      reader.refuse(name, std::string(name) + " is not supported");
    }
  }
}

// Decoding is greedy. Clients send temperature and top_p by habit, so values in range are let pass,
// and the reply tells how was decoded.
void checkRange(Reader& reader, const char* name, double low, double high) {
  const Json* value = reader.find(name);
  if (!value) return;
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (!(number >= low && number <= high)) {
    reader.fail(name, value, "a number from " + Json(low).dump() + " to " + Json(high).dump());
  }
}

}  // namespace

std::variant<ChatRequest, ApiError> parseChatRequest(std::string_view body) {
  std::string why;
  const Json object = parseBounded(body, why);
  if (object.is_discarded()) return ApiError{400, "invalid_request_error", why, {}, "invalid_json"};
  if (!object.is_object()) {
    return ApiError{400,
                    "invalid_request_error",
                    "the body is " + describeJson(object) + ", expected a JSON object",
                    {},
                    "invalid_json"};
  }
  Reader reader(object);
  ChatRequest out;
  out.model = reader.text("model", true);
  readMessages(reader, out);
  readDocuments(reader, out);
  readLink(reader, out);
  readStop(reader, out);
  refuseSampling(reader);
  checkRange(reader, "temperature", 0, 2);
  checkRange(reader, "top_p", 0, 1);
  out.topDocuments = reader.count(object, "top_documents", "top_documents", 1, 1'000'000);
  const auto limit = reader.count(object, "max_tokens", "max_tokens", 1, kMostTokens);
  out.maxTokens =
      reader.count(object, "max_completion_tokens", "max_completion_tokens", 1, kMostTokens);
  if (!out.maxTokens) out.maxTokens = limit;
  out.stream = reader.flag(object, "stream", "stream");
  if (const Json* options = reader.find("stream_options")) {
    if (options->is_object()) {
      out.includeUsage = reader.flag(*options, "include_usage", "stream_options.include_usage");
    } else {
      reader.fail("stream_options", options, "an object");
    }
  }
  if (reader.error()) return *reader.error();
  return out;
}

}  // namespace spolia::engine
