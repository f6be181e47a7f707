#include "engine/template/chat_template.h"

#include <nlohmann/json.hpp>

#include "engine/model/json_file.h"

namespace spolia::engine {

namespace {

using nlohmann::json;

constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kConfigFile = "tokenizer_config.json";
constexpr const char* kTokensFile = "special_tokens_map.json";
constexpr const char* kField = "chat_template";
constexpr size_t kMostConfigBytes = size_t{64} << 20;

bool isThere(const std::filesystem::path& file) {
  std::error_code error;
  return std::filesystem::exists(file, error);
}

// An object; an empty one where there is no such file.
Result<json> loadObject(const std::filesystem::path& file) {
  if (!isThere(file)) return json::object();
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readTextFile(file, kMostConfigBytes));
  SPOLIA_ASSIGN_OR_RETURN(json out, parseJson(text, file.string()));
  if (!out.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  file.string() + " is " + describeJson(out) + ", expected an object");
  }
  return out;
}

// A token as text, or as an object that has it as "content".
std::optional<std::string> tokenText(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object()) return std::nullopt;
  const auto content = found->find("content");
  if (content == found->end() || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

// The template in a tokenizer_config.json; nothing where it has none.
Result<std::optional<std::string>> templateIn(const json& config, const std::string& file) {
  const JsonFields fields(config, file);
  const json* found = fields.find(kField);
  if (!found) return std::optional<std::string>();
  if (found->is_string()) return std::optional(found->get<std::string>());
  if (!found->is_array()) return fields.wrong(kField, "a text, or a list of named ones");
  for (const json& entry : *found) {
    if (!entry.is_object() || entry.value("name", json()) != "default") continue;
    const auto source = entry.find("template");
    if (source != entry.end() && source->is_string()) {
      return std::optional(source->get<std::string>());
    }
  }
  return fields.wrong(kField, "one that is named \"default\", with its \"template\"");
}

}  // namespace

Result<ChatTemplate::SpecialTokens> loadSpecialTokens(const std::filesystem::path& directory) {
  SPOLIA_ASSIGN_OR_RETURN(const json config, loadObject(directory / kConfigFile));
  SPOLIA_ASSIGN_OR_RETURN(const json map, loadObject(directory / kTokensFile));
  ChatTemplate::SpecialTokens out;
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    std::optional<std::string> text = tokenText(config, name);
    if (!text && !config.contains(name)) text = tokenText(map, name);
    if (text) out.emplace_back(name, *std::move(text));
  }
  return out;
}

Result<std::optional<ChatTemplate>> ChatTemplate::load(const std::filesystem::path& directory) {
  if (isThere(directory / kTemplateFile)) {
    SPOLIA_ASSIGN_OR_RETURN(SpecialTokens tokens, loadSpecialTokens(directory));
    SPOLIA_ASSIGN_OR_RETURN(ChatTemplate out,
                            loadFile(directory / kTemplateFile, std::move(tokens)));
    return std::optional(std::move(out));
  }
  const std::filesystem::path file = directory / kConfigFile;
  SPOLIA_ASSIGN_OR_RETURN(const json config, loadObject(file));
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<std::string> source,
                          templateIn(config, file.string()));
  if (!source) return std::optional<ChatTemplate>();
  SPOLIA_ASSIGN_OR_RETURN(SpecialTokens tokens, loadSpecialTokens(directory));
  SPOLIA_ASSIGN_OR_RETURN(ChatTemplate out,
                          parse(*source, file.string() + ": " + kField, std::move(tokens)));
  return std::optional(std::move(out));
}

Result<ChatTemplate> ChatTemplate::loadFile(const std::filesystem::path& file,
                                            SpecialTokens tokens) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string source, readTextFile(file, jinja::kMaxTemplateBytes));
  return parse(source, file.string(), std::move(tokens));
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, std::string name,
                                         SpecialTokens tokens) {
  Result<jinja::Template> parsed = jinja::Template::parse(source);
  if (!parsed.ok()) return parsed.status().withContext(name);
  return ChatTemplate(*std::move(parsed), std::move(name), std::move(tokens));
}

Result<jinja::MarkedText> ChatTemplate::render(std::span<const ChatTurn> turns,
                                               const jinja::Variables& arguments,
                                               const std::tm& now) const {
  jinja::List messages;
  for (const ChatTurn& turn : turns) {
    jinja::Dict message;
    message.entries.emplace_back(std::string_view("role"),
                                 jinja::Value(std::string_view(turn.role)));
    message.entries.emplace_back(std::string_view("content"), jinja::Value(turn.content));
    messages.items.emplace_back(std::move(message));
  }
  messages.depth = 2;
  // As transformers has it: defined, and none.
  jinja::Variables variables = {{"tools", jinja::Value(jinja::None{})},
                                {"documents", jinja::Value(jinja::None{})}};
  variables.insert(variables.end(), arguments.begin(), arguments.end());
  for (const auto& [token, text] : tokens_) {
    variables.emplace_back(token, jinja::Value(std::string_view(text)));
  }
  variables.emplace_back("messages", jinja::Value(std::move(messages)));
  variables.emplace_back("add_generation_prompt", jinja::Value(true));
  Result<jinja::MarkedText> out = template_.render(variables, now);
  return out.ok() ? std::move(out) : Result<jinja::MarkedText>(out.status().withContext(name_));
}

}  // namespace spolia::engine
