// The body of POST /v1/completions, checked as that of chat completions is. Value types; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codec/chunk_identity.h"
#include "engine/http/answer_fields.h"
#include "engine/http/api_error.h"

namespace spolia::engine {

// A text, or token ids.
using CompletionPrompt = std::variant<std::string, std::vector<codec::TokenId>>;

struct CompletionRequest : AnswerFields {
  static constexpr size_t kMostPrompts = 16;

  std::vector<CompletionPrompt> prompts;  // 1 .. kMostPrompts
};

std::variant<CompletionRequest, ApiError> parseCompletionRequest(std::string_view body);

}  // namespace spolia::engine
