#include "engine/scheduler/sequence.h"

#include <algorithm>
#include <string_view>

namespace spolia::engine {

Sequence::Sequence(const Model& model, const SequenceOptions& options,
                   std::span<const codec::TokenId> prompt)
    : model_(model),
      options_(options),
      sampler_(options.sampling, prompt),
      position_(static_cast<uint32_t>(prompt.size()) - 1) {}

ChosenToken Sequence::choose(std::span<const float> logits) {
  ChosenToken chosen{sampler_.next(logits), {}};
  if (options_.odds) chosen.odds = oddsOf(logits, chosen.token, *options_.odds);
  return chosen;
}

std::optional<StopReason> Sequence::stopBefore(codec::TokenId token) const {
  if (std::ranges::count(model_.config().eosTokens, token) > 0) return StopReason::kEndOfText;
  if (options_.stopAtNewline && model_.hasTokenizer() &&
      model_.tokenizer().tokenBytes(token).find('\n') != std::string_view::npos) {
    return StopReason::kNewline;
  }
  return std::nullopt;
}

bool Sequence::take(const ChosenToken& chosen, const OnToken& onToken) {
  if (const auto stop = stopBefore(chosen.token)) {
    stopped_ = *stop;
    return false;
  }
  tokens_.push_back(chosen.token);
  ++position_;
  if (onToken && !onToken(chosen)) {
    stopped_ = StopReason::kAsked;
    return false;
  }
  return tokens_.size() < options_.maxTokens;
}

}  // namespace spolia::engine
