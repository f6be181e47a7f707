// Choice of the next token.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codec/chunk_identity.h"

namespace spolia::engine {

// The token of the largest logit, the lowest id on ties; NaN loses against every number. `logits`
// is not empty. Any thread.
codec::TokenId argmax(std::span<const float> logits);

// How tokens are drawn. The steps apply in this order, as in vLLM: bias and penalties to the
// logits, temperature, then of the distribution the tokens that min-p, top-k and top-p leave.
struct SamplingOptions {
  float temperature = 0;  // logits are divided by it; 0: always the likeliest token
  uint32_t topK = 0;      // of the likeliest tokens; 0: all
  float topP = 1;         // the fewest of the likeliest tokens that have this probability together
  float minP = 0;         // tokens at least so likely as a share of the likeliest one's probability
  // Subtracted from the logit of a token that was chosen before: once, and for each time.
  float presencePenalty = 0;
  float frequencyPenalty = 0;
  // What positive logits of tokens of prompt and answer are divided by, negative ones multiplied.
  float repetitionPenalty = 1;
  std::vector<std::pair<codec::TokenId, float>> bias;  // added to the logits of these tokens
  uint64_t seed = 0;

  bool greedy() const { return temperature == 0; }
};

// Chooses the tokens of one answer. The same options, prompt and logits give the same tokens on
// every machine. One thread.
class Sampler {
 public:
  Sampler(const SamplingOptions& options, std::span<const codec::TokenId> prompt);

  // The next token, which counts as chosen. `logits` are not empty; NaN is never chosen where there
  // is a number. In steady state nothing is allocated but for tokens that were never chosen before.
  codec::TokenId next(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    codec::TokenId token;
  };

  bool adjusts() const;
  void adjust();
  void keepLikeliest();
  codec::TokenId draw();

  const SamplingOptions options_;
  std::mt19937_64 random_;
  std::unordered_map<codec::TokenId, uint32_t> counts_;  // times chosen; 0: of the prompt alone
  std::vector<float> logits_;                            // adjusted
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

// Probabilities of a token and of the likeliest ones, as natural logarithms, under the logits as
// the model gave them.
struct TokenOdds {
  float chosen = 0;
  std::vector<std::pair<codec::TokenId, float>> likeliest;  // descending
};
TokenOdds oddsOf(std::span<const float> logits, codec::TokenId chosen, uint32_t likeliest);

}  // namespace spolia::engine
