// Replies of POST /v1/chat/completions, whole or as server-sent events. Value types; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/linker/provenance.h"

namespace spolia::engine {

struct ReplyHead {
  std::string id;       // "chatcmpl-..."
  int64_t created = 0;  // Unix time
  std::string model;
};

struct ChatAnswer {
  std::string text;
  std::string finishReason;  // "stop" or "length"
  uint32_t completionTokens = 0;
  Provenance provenance;
  std::vector<std::string> documents;
  double firstTokenMs = 0;
  double totalMs = 0;
};

// The whole answer: `choices`, `usage` with prompt_tokens_details.cached_tokens, and `cache`: how
// it came about, chunk by chunk.
std::string completionText(const ReplyHead& head, const ChatAnswer& answer);

// Events of a stream: the role, pieces of text, the end with `cache`, usage, and the last line.
std::string roleEvent(const ReplyHead& head);
std::string textEvent(const ReplyHead& head, std::string_view text);
std::string endEvent(const ReplyHead& head, const ChatAnswer& answer);
std::string usageEvent(const ReplyHead& head, const ChatAnswer& answer);
inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

}  // namespace spolia::engine
