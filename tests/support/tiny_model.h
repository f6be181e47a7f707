// Small models with seeded random weights, made in memory: same seed, same bits on every machine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "engine/kernels/matrix.h"
#include "engine/model/model.h"

namespace spolia::engine::test {

// Deterministic numbers; the distributions of <random> differ between libraries.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();                                              // SplitMix64
  uint32_t below(uint32_t limit);                               // 0 .. limit - 1
  float uniform(float low, float high);                         // [low, high)
  Matrix matrix(size_t rows, size_t columns, float magnitude);  // in [-magnitude, magnitude)

 private:
  uint64_t state_;
};

// 3 layers, hidden 96, 6 heads, 2 kv heads of 16, ffn 160, vocabulary 256, 1024 positions, tied.
ModelConfig tinyConfig();

// The same, and with one part each that it lacks: biases, norms of q and k, windows,
// scalings of RoPE that matter within 100 positions.
struct Variant {
  const char* name;
  ModelConfig config;
};
// What failures of parameterised tests show.
inline void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}
std::vector<Variant> tinyVariants();

// Weights scaled so that every layer changes the hidden state noticeably and attention is neither
// flat nor on a single key.
std::unique_ptr<Model> makeTinyModel(const ModelConfig& config, uint64_t seed,
                                     std::optional<Tokenizer> tokenizer = std::nullopt,
                                     WeightNumerics numerics = WeightNumerics::kF32);
// A tokenizer for it: printable ASCII, space and newline, one token for each byte, its value.
// Special tokens are added by name, with ids from 1 on.
Tokenizer byteTokenizer(const std::vector<std::string>& special = {});

// `count` tokens of the vocabulary.
std::vector<codec::TokenId> randomTokens(const ModelConfig& config, size_t count, uint64_t seed);
// 0 .. count - 1, moved by `first`.
std::vector<uint32_t> positionsFrom(uint32_t first, size_t count);

}  // namespace spolia::engine::test
