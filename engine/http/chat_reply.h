// Replies of POST /v1/chat/completions, whole or as server-sent events. Value types; any thread.
#pragma once

#include <cstdint>
#include <optional>
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

// One token of an answer and how likely it was.
struct TokenLogprob {
  struct Other {
    std::string bytes;
    float logprob = 0;
  };
  std::string bytes;
  float logprob = 0;
  std::vector<Other> likeliest;
};

struct ChatAnswer {
  std::string text;
  std::optional<std::vector<TokenLogprob>> logprobs;  // none: not asked for
  std::optional<uint64_t> seed;                       // none: always the likeliest tokens
  std::string finishReason;                           // "stop" or "length"
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
// With the logprobs of the tokens since the piece before, null where none were asked for.
std::string textEvent(const ReplyHead& head, std::string_view text,
                      const std::vector<TokenLogprob>* logprobs = nullptr);
std::string endEvent(const ReplyHead& head, const ChatAnswer& answer);
std::string usageEvent(const ReplyHead& head, const ChatAnswer& answer);
inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

}  // namespace spolia::engine
