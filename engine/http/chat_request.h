// The body of POST /v1/chat/completions, checked. Unknown fields are tolerated; a field of the
// wrong type or range is refused by name, and so is one that asks for what is not done (several
// choices, tools): to ignore it would be to answer another question. Value types; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/http/api_error.h"
#include "engine/linker/link_plan.h"
#include "engine/transformer/sampler.h"

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

struct ChatRequest {
  std::string model;
  std::vector<ChatMessage> messages;
  std::vector<ChatDocument> documents;
  std::optional<uint32_t> topDocuments;
  std::optional<LinkMethod> method;  // "link": {"method", "k", "patience_ms"}
  std::optional<uint32_t> k;
  std::optional<uint32_t> patienceMs;
  std::optional<uint32_t> maxTokens;  // "max_completion_tokens", or "max_tokens"
  std::vector<std::string> stop;      // at most four
  // As the body says; without "temperature" the likeliest tokens. Without "seed" a random one.
  SamplingOptions sampling;
  std::optional<uint32_t> logprobs;  // "logprobs": with so many "top_logprobs", at most 20
  bool stream = false;
  bool includeUsage = false;  // "stream_options": {"include_usage"}
};

std::variant<ChatRequest, ApiError> parseChatRequest(std::string_view body);

}  // namespace spolia::engine
