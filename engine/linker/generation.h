// From a prompt to an answer: link, then decode greedily. Free functions over parts they borrow;
// one request at a time for each Linker.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "engine/linker/linker.h"

namespace spolia::engine {

struct GenerationOptions {
  LinkOptions link;  // spareRows is taken from maxTokens
  uint32_t maxTokens = 64;
  bool stopAtNewline = true;
  // Told each token of the answer as it is chosen, and the milliseconds since the call; false ends
  // the answer behind it.
  std::function<bool(codec::TokenId token, double ms)> onToken;
};

enum class StopReason : uint8_t { kEndOfText, kNewline, kMaxTokens, kAsked };

struct Answer {
  std::string text;  // without surrounding white space
  std::vector<codec::TokenId> tokens;
  StopReason stopped = StopReason::kMaxTokens;
  Provenance provenance;
  double firstTokenMs = 0;  // from the call to the first token sampled
  double totalMs = 0;
};

// The model's greedy answer to the prompt. Method prefix then stores what it computed of the
// prefix, which totalMs does not count. Failures are those of Linker::link.
Result<Answer> answerPrompt(const Model& model, const Transformer& transformer, Linker& linker,
                            const Prompt& prompt, const GenerationOptions& options);

}  // namespace spolia::engine
