// Sequence: one answer on its way, token by token: how the next one is chosen, and when it ends.
//
// Borrows the model. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/model.h"
#include "engine/transformer/decode_batch.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {

struct ChosenToken {
  codec::TokenId token = 0;
  std::optional<TokenOdds> odds;  // where they were asked for
};

enum class StopReason : uint8_t { kEndOfText, kNewline, kMaxTokens, kAsked };

struct SequenceOptions {
  uint32_t maxTokens = 64;  // at least 1
  bool stopAtNewline = true;
  SamplingOptions sampling;
  // Of each token: how likely it and so many others were; none: nothing is told.
  std::optional<uint32_t> odds;
};

class Sequence {
 public:
  // Told each token as it is chosen; false ends the answer behind it.
  using OnToken = std::function<bool(const ChosenToken& token)>;

  // What follows `prompt`.
  Sequence(const Model& model, const SequenceOptions& options,
           std::span<const codec::TokenId> prompt);

  // The next token by the logits [vocabulary] behind everything so far.
  ChosenToken choose(std::span<const float> logits);
  // Takes it as part of the answer, or as its end. True when the answer goes on: row() is what to
  // decode for the next logits.
  bool take(const ChosenToken& chosen, const OnToken& onToken);

  // The last token taken, at its position in `pages`.
  DecodeRow row(KvPages& pages) const { return {&pages, tokens_.back(), position_}; }

  const std::vector<codec::TokenId>& tokens() const { return tokens_; }
  // Once take() gave false.
  StopReason stopped() const { return stopped_; }

 private:
  std::optional<StopReason> stopBefore(codec::TokenId token) const;

  const Model& model_;
  const SequenceOptions options_;
  Sampler sampler_;
  uint32_t position_;  // of the last token of tokens_; before the first of the prompt's last
  std::vector<codec::TokenId> tokens_;
  StopReason stopped_ = StopReason::kMaxTokens;
};

}  // namespace spolia::engine
