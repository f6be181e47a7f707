#include "tests/support/tiny_model.h"

#include <cmath>
#include <numeric>

#include "codec/base/check.h"

namespace spolia::engine::test {

uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

uint32_t Random::below(uint32_t limit) {
  return static_cast<uint32_t>((next() >> 32) * uint64_t{limit} >> 32);
}

float Random::uniform(float low, float high) {
  const float unit = static_cast<float>(next() >> 40) * 0x1p-24f;
  return low + (high - low) * unit;
}

Matrix Random::matrix(size_t rows, size_t columns, float magnitude) {
  Matrix out(rows, columns);
  for (size_t i = 0; i < rows * columns; ++i) out.data()[i] = uniform(-magnitude, magnitude);
  return out;
}

ModelConfig tinyConfig() {
  ModelConfig config;
  config.hiddenSize = 96;
  config.layers = 3;
  config.heads = 6;
  config.kvHeads = 2;
  config.headDim = 16;
  config.ffnSize = 160;
  config.vocabSize = 256;
  config.maxPositions = 1024;
  config.rmsEps = 1e-5f;
  config.ropeTheta = 10000;
  config.tiedHead = true;
  return config;
}

std::vector<Variant> tinyVariants() {
  std::vector<Variant> out;
  const auto variant = [&out](const char* name) -> ModelConfig& {
    return out.emplace_back(Variant{name, tinyConfig()}).config;
  };
  variant("PlainLlama");
  variant("Qwen2Biases").qkvBias = true;
  ModelConfig& biases = variant("AllBiases");
  biases.qkvBias = biases.outputBias = true;
  ModelConfig& norms = variant("NormsOfWiderHeads");
  norms.qkNorm = true;
  norms.headDim = 32;
  variant("WindowEverywhere").windows = {37, 37, 37};
  variant("WindowInOneLayer").windows = {0, 65, 0};
  variant("SmallestWindow").windows = {2, 0, 2};
  variant("WindowNoRowReaches").windows = {5000, 5000, 5000};
  variant("Linear").ropeScaling = {.kind = RopeKind::kLinear, .factor = 4};
  variant("Dynamic").ropeScaling = {.kind = RopeKind::kDynamic, .factor = 2};
  variant("Llama3").ropeScaling = {.kind = RopeKind::kLlama3,
                                   .factor = 8,
                                   .originalPositions = 64,
                                   .lowFrequencyFactor = 1,
                                   .highFrequencyFactor = 4};
  const RopeScaling yarn = {.kind = RopeKind::kYarn,
                            .factor = 4,
                            .originalPositions = 64,
                            .betaFast = 8,
                            .betaSlow = 1,
                            .truncate = true,
                            .attentionFactor = 1.139};
  variant("Yarn").ropeScaling = yarn;
  ModelConfig& all = variant("AllTogether");
  all.ropeScaling = yarn;
  all.ropeScaling.truncate = false;
  all.qkvBias = all.outputBias = all.qkNorm = true;
  all.windows = {0, 40, 40};
  return out;
}

std::unique_ptr<Model> makeTinyModel(const ModelConfig& config, uint64_t seed,
                                     std::optional<Tokenizer> tokenizer, WeightNumerics numerics) {
  TensorTable tensors = TensorTable::zeroed(config);
  Random random(seed);
  for (const TensorSpec& spec : tensorSpecs(config)) {
    Matrix* tensor = tensors.find(spec.name);
    // Uniform of variance 1 / columns keeps the size of what it is applied to; norms are about 1.
    // Biases move what they are added to by half its size.
    const bool bias = spec.name.ends_with(".bias");
    const bool norm = spec.vector && !bias;
    const float magnitude = bias   ? 0.9f
                            : norm ? 0.25f
                                   : std::sqrt(3.0f / static_cast<float>(spec.columns));
    for (size_t i = 0; i < size_t{spec.rows} * spec.columns; ++i) {
      tensor->data()[i] = (norm ? 1.0f : 0.0f) + random.uniform(-magnitude, magnitude);
    }
  }
  return Model::make(config, tensors, std::move(tokenizer), numerics);
}

Tokenizer byteTokenizer(const std::vector<std::string>& special) {
  std::string added, vocabulary;
  for (const std::string& name : special) {
    added += (added.empty() ? R"({"content": ")" : R"(, {"content": ")") + name +
             R"(", "special": true, "id": )" + std::to_string(&name - special.data() + 1) + "}";
  }
  for (int byte = 33; byte < 127; ++byte) {
    const char c = static_cast<char>(byte);
    vocabulary += std::string(c == '"' || c == '\\' ? "\"\\" : "\"") + c +
                  "\": " + std::to_string(byte) + ", ";
  }
  // Space and newline as byte-level vocabularies write them.
  const std::string json = R"({"version": "1.0", "added_tokens": [)" + added +
                           R"(], "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                      "use_regex": true},
    "post_processor": null, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {)" +
                           vocabulary + "\"\u0120\": 32, \"\u010A\": 10}, \"merges\": []}}";
  Result<Tokenizer> tokenizer = Tokenizer::parse(json, "test");
  SPOLIA_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

std::vector<codec::TokenId> randomTokens(const ModelConfig& config, size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<codec::TokenId> tokens(count);
  for (codec::TokenId& token : tokens) token = random.below(config.vocabSize);
  return tokens;
}

std::vector<uint32_t> positionsFrom(uint32_t first, size_t count) {
  std::vector<uint32_t> positions(count);
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

}  // namespace spolia::engine::test
