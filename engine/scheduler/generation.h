// From a prompt to an answer, one alone: link, then decode. Free functions over parts they borrow;
// one request at a time for each Linker.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "engine/linker/linker.h"
#include "engine/scheduler/sequence.h"

namespace spolia::engine {

struct GenerationOptions {
  LinkOptions link;  // spareRows is taken from maxTokens
  SequenceOptions sequence;
  // Told each token of the answer as it is chosen, and the milliseconds since the call; false ends
  // the answer behind it.
  std::function<bool(const ChosenToken& token, double ms)> onToken;
};

struct Answer {
  std::string text;  // without surrounding white space
  std::vector<codec::TokenId> tokens;
  StopReason stopped = StopReason::kMaxTokens;
  Provenance provenance;
  double firstTokenMs = 0;  // from the call to the first token sampled
  double totalMs = 0;
};

// The model's answer to the prompt. Method prefix then stores what it computed of the
// prefix, which totalMs does not count. Failures are those of Linker::link.
Result<Answer> answerPrompt(const Model& model, const Transformer& transformer, Linker& linker,
                            const Prompt& prompt, const GenerationOptions& options);

}  // namespace spolia::engine
