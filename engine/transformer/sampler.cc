#include "engine/transformer/sampler.h"

#include <algorithm>
#include <cmath>

#include "codec/base/check.h"

namespace spolia::engine {
namespace {

// Tokens that are sorted at first; most of what top-p keeps is among them.
constexpr size_t kSortedAtFirst = 256;

// Likelier first, lower ids on ties; a total order, so that equal seeds choose equally everywhere.
template <typename Candidate>
bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// [0, 1), of the same bits everywhere: the library's distributions may differ.
double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

}  // namespace

codec::TokenId argmax(std::span<const float> logits) {
  SPOLIA_CHECK(!logits.empty());
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[i]))) best = i;
  }
  return static_cast<codec::TokenId>(best);
}

Sampler::Sampler(const SamplingOptions& options, std::span<const codec::TokenId> prompt)
    : options_(options), random_(options.seed) {
  if (options_.repetitionPenalty == 1) return;
  for (const codec::TokenId token : prompt) counts_[token] = 0;
}

bool Sampler::adjusts() const {
  return !options_.bias.empty() || options_.presencePenalty != 0 ||
         options_.frequencyPenalty != 0 || options_.repetitionPenalty != 1;
}

void Sampler::adjust() {
  const auto known = [&](codec::TokenId token) { return token < logits_.size(); };
  for (const auto& [token, bias] : options_.bias) {
    if (known(token)) logits_[token] += bias;
  }
  for (const auto& [token, count] : counts_) {
    if (!known(token)) continue;
    float& logit = logits_[token];
    logit = logit > 0 ? logit / options_.repetitionPenalty : logit * options_.repetitionPenalty;
    if (count > 0) logit -= options_.presencePenalty;
    logit -= options_.frequencyPenalty * static_cast<float>(count);
  }
}

codec::TokenId Sampler::next(std::span<const float> logits) {
  if (adjusts()) {
    logits_.assign(logits.begin(), logits.end());
    adjust();
    logits = logits_;
  }
  codec::TokenId token = argmax(logits);
  const bool certain = options_.greedy() || std::isnan(logits[token]) ||
                       std::isinf(logits[token]) || options_.topK == 1;
  if (!certain) {
    candidates_.clear();
    const float least = options_.minP > 0
                            ? logits[token] + options_.temperature * std::log(options_.minP)
                            : -INFINITY;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] >= least) candidates_.push_back({logits[i], static_cast<codec::TokenId>(i)});
    }
    keepLikeliest();
    token = draw();
  }
  if (adjusts()) ++counts_[token];
  return token;
}

// Top-k, then top-p; puts the weights of what is left into weights_, where they are sums.
void Sampler::keepLikeliest() {
  auto& all = candidates_;
  if (options_.topK > 0 && options_.topK < all.size()) {
    std::ranges::nth_element(all, all.begin() + options_.topK - 1, likelier<Candidate>);
    all.resize(options_.topK);
  }
  const float most = std::ranges::max_element(all, {}, &Candidate::logit)->logit;
  const auto weight = [&](const Candidate& candidate) {
    return std::exp(double{candidate.logit - most} / double{options_.temperature});
  };
  if (options_.topP < 1) {
    double total = 0;
    for (const Candidate& candidate : all) total += weight(candidate);
    double sum = 0;
    size_t kept = 0;
    for (size_t sorted = 0; kept < all.size() && (kept == 0 || sum < options_.topP * total);
         ++kept) {
      if (kept == sorted) {
        sorted = std::min(all.size(), std::max(kSortedAtFirst, 2 * sorted));
        const auto first = all.begin() + static_cast<ptrdiff_t>(kept);
        std::ranges::partial_sort(first, all.begin() + static_cast<ptrdiff_t>(sorted), all.end(),
                                  likelier<Candidate>);
      }
      sum += weight(all[kept]);
    }
    all.resize(kept);
  }
  weights_.clear();
  double sum = 0;
  for (const Candidate& candidate : all) weights_.push_back(sum += weight(candidate));
}

codec::TokenId Sampler::draw() {
  const double at = uniform(random_) * weights_.back();
  const auto found = std::ranges::upper_bound(weights_, at);
  const size_t index =
      std::min<size_t>(static_cast<size_t>(found - weights_.begin()), candidates_.size() - 1);
  return candidates_[index].token;
}

TokenOdds oddsOf(std::span<const float> logits, codec::TokenId chosen, uint32_t likeliest) {
  SPOLIA_CHECK(chosen < logits.size());
  const float most = logits[argmax(logits)];
  double sum = 0;
  for (const float logit : logits) {
    if (!std::isnan(logit)) sum += std::exp(double{logit - most});
  }
  const auto log = static_cast<float>(std::log(sum));
  const auto odds = [&](codec::TokenId token) { return logits[token] - most - log; };
  TokenOdds out{odds(chosen), {}};
  std::vector<codec::TokenId> order(likeliest == 0 ? 0 : logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<codec::TokenId>(i);
  const size_t count = std::min<size_t>(likeliest, order.size());
  std::ranges::partial_sort(order, order.begin() + static_cast<ptrdiff_t>(count),
                            [&](codec::TokenId a, codec::TokenId b) {
                              const bool numbers = !std::isnan(logits[a]) && !std::isnan(logits[b]);
                              if (!numbers) return std::isnan(logits[b]) && !std::isnan(logits[a]);
                              return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
                            });
  for (size_t i = 0; i < count; ++i) out.likeliest.emplace_back(order[i], odds(order[i]));
  return out;
}

}  // namespace spolia::engine
