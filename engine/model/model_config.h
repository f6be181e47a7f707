// Hyper-parameters of a model, read from a Hugging Face config.json and generation_config.json and
// checked against each other. A value type; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

namespace spolia::engine {

// A Llama model: RMSNorm, RoPE over halves of each head, grouped-query attention, SwiGLU.
struct ModelConfig {
  uint32_t hiddenSize = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kvHeads = 0;  // divides heads
  uint32_t headDim = 0;  // even; heads * headDim need not equal hiddenSize
  uint32_t ffnSize = 0;
  uint32_t vocabSize = 0;
  uint32_t maxPositions = 0;  // tokens of the longest prompt plus answer
  float rmsEps = 0;
  float ropeTheta = 0;    // pair i of a head turns by position * ropeTheta^(-2i / headDim)
  bool tiedHead = false;  // the output head is the embedding
  uint32_t bosToken = 0;  // in front of every prompt and every isolated chunk
  std::vector<uint32_t> eosTokens;  // generation ends at any of them; may be empty

  uint32_t queryChannels() const { return heads * headDim; }
  uint32_t kvChannels() const { return kvHeads * headDim; }
  bool operator==(const ModelConfig&) const = default;
};

// The configuration of the model in `directory`: config.json, and eos tokens of
// generation_config.json where it exists (they win, as in the reference implementation). Fields
// that are absent have Hugging Face's defaults; unknown fields are ignored. Errors name file and
// field: kNotFound without config.json, kUnsupported for another architecture or a feature this
// engine lacks (scaled RoPE, biases, quantised weights), kInvalidArgument for anything that makes
// no sense.
Result<ModelConfig> loadModelConfig(const std::filesystem::path& directory);

// The same from text; `name` stands for the file in errors. Empty `generation`: none.
Result<ModelConfig> parseModelConfig(std::string_view config, std::string_view generation,
                                     std::string_view name);

// Success when the numbers fit each other and the limits of this engine; for configurations made
// in memory. Errors name the field of config.json.
Status checkModelConfig(const ModelConfig& config);

// The part of the configuration on which KV depends, RoPE aside, as lines "name=value" in a fixed
// order: what a model's fingerprint digests.
std::string canonicalConfig(const ModelConfig& config);
// Likewise the RoPE parameters.
std::string canonicalRope(const ModelConfig& config);

}  // namespace spolia::engine
