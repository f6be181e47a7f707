// ChatTemplate: the template by which a model was taught conversations, from the files beside its
// weights. Immutable; const use from any thread.
#pragma once

#include <ctime>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/base/result.h"
#include "engine/jinja/jinja_template.h"

namespace spolia::engine {

struct ChatTurn {
  std::string role;  // "system", "user", "assistant"
  jinja::MarkedText content;
};

class ChatTemplate {
 public:
  // "bos_token" and so on, as templates name them.
  using SpecialTokens = std::vector<std::pair<std::string, std::string>>;

  // chat_template.jinja of a model's directory, else `chat_template` of tokenizer_config.json: a
  // text, or the one named "default" of several. Nothing where there is none. Errors name file, and
  // line and column or field.
  static Result<std::optional<ChatTemplate>> load(const std::filesystem::path& directory);
  // A file in place of what the model brings.
  static Result<ChatTemplate> loadFile(const std::filesystem::path& file, SpecialTokens tokens);
  // `name` stands for the file in errors.
  static Result<ChatTemplate> parse(std::string_view source, std::string name,
                                    SpecialTokens tokens);

  // Where it is from.
  const std::string& name() const { return name_; }

  // The conversation, up to where the model's answer begins. `arguments` are further variables of
  // the template. Errors as Template::render(), the name of the template in front.
  Result<jinja::MarkedText> render(std::span<const ChatTurn> turns,
                                   const jinja::Variables& arguments, const std::tm& now) const;

 private:
  ChatTemplate(jinja::Template parsed, std::string name, SpecialTokens tokens)
      : template_(std::move(parsed)), name_(std::move(name)), tokens_(std::move(tokens)) {}

  jinja::Template template_;
  std::string name_;
  SpecialTokens tokens_;
};

// The special tokens of the model in `directory`: tokenizer_config.json, else
// special_tokens_map.json; none of those that neither has.
Result<ChatTemplate::SpecialTokens> loadSpecialTokens(const std::filesystem::path& directory);

}  // namespace spolia::engine
