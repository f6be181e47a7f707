// The body of POST /v1/chat/completions, checked. Unknown fields are tolerated; a field of the
// wrong type or range is refused by name, and so is one that asks for what is not done (tools): to
// ignore it would be to answer another question. Value types; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/http/answer_fields.h"
#include "engine/http/api_error.h"
#include "engine/jinja/jinja_template.h"

namespace spolia::engine {

struct ChatMessage {
  std::string role;  // "system", "developer", "user" or "assistant"
  std::string text;  // parts of type "text" are put together
};

// One entry of `documents`: by name, or with its text.
struct ChatDocument {
  std::string name;  // of a text: may be empty
  std::optional<std::string> text;
};

struct ChatRequest : AnswerFields {
  std::vector<ChatMessage> messages;
  std::vector<ChatDocument> documents;
  std::optional<uint32_t> topDocuments;
  jinja::Variables templateArguments;  // "chat_template_kwargs": further ones of the chat template
};

std::variant<ChatRequest, ApiError> parseChatRequest(std::string_view body);

}  // namespace spolia::engine
