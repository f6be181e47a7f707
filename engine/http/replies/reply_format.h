// What a reply tells, and how a route writes it. Value types; any thread.
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
  size_t offset = 0;  // characters of the answer before it
};

// One of the answers to a request.
struct AnswerChoice {
  std::string text;
  std::optional<std::vector<TokenLogprob>> logprobs;  // none: not asked for
  std::string finishReason;                           // "stop" or "length"
  uint32_t completionTokens = 0;
};

// How the KV of one prompt came about.
struct AnsweredPrompt {
  Provenance provenance;
  std::vector<std::string> documents;
};

struct ApiAnswer {
  std::vector<AnswerChoice> choices;    // of the first prompt, then of the next
  std::vector<AnsweredPrompt> prompts;  // at least one
  std::optional<uint64_t> seed;         // of the first choice; none: always the likeliest tokens
  double firstTokenMs = 0;
  double totalMs = 0;
};

class ReplyFormat {
 public:
  virtual ~ReplyFormat() = default;

  // The whole answer: `choices`, `usage` with prompt_tokens_details.cached_tokens, and `cache`: how
  // it came about, chunk by chunk.
  virtual std::string whole(const ReplyHead& head, const ApiAnswer& answer) const = 0;

  // Events of a stream: how a choice begins, pieces of its text with the logprobs of the tokens
  // since the piece before (null where none were asked for), its end, with `cache` behind the last
  // choice, and usage. Empty: the format has no such event.
  virtual std::string begin(const ReplyHead& head, size_t choice) const = 0;
  virtual std::string piece(const ReplyHead& head, size_t choice, std::string_view text,
                            const std::vector<TokenLogprob>* logprobs) const = 0;
  virtual std::string end(const ReplyHead& head, const ApiAnswer& answer, size_t choice) const = 0;
  virtual std::string usage(const ReplyHead& head, const ApiAnswer& answer) const = 0;
};

inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

}  // namespace spolia::engine
