// Hyper-parameters of a model, read from a Hugging Face config.json and generation_config.json and
// checked against each other. A value type; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/rope_scaling.h"

namespace spolia::engine {

// A model of the Llama kind: RMSNorm, RoPE over halves of each head, grouped-query attention,
// SwiGLU; and what Mistral, Qwen2 and Qwen3 have more than that.
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
  bool qkvBias = false;             // q, k and v are products plus a vector
  bool outputBias = false;          // and so is what attention adds to the stream
  bool qkNorm = false;  // q and k are normed head by head, behind their biases and before RoPE
  // With kDynamic frequencies would change with the length of a prompt beyond maxPositions, which
  // is refused as for any other model; up to there nothing is scaled.
  RopeScaling ropeScaling = {};
  // Of each layer, how many keys a row sees at most, itself and those right before it; 0: all.
  // Empty: all, in every layer.
  std::vector<uint32_t> windows = {};

  uint32_t queryChannels() const { return heads * headDim; }
  uint32_t kvChannels() const { return kvHeads * headDim; }
  // 0: every key up to the row itself.
  uint32_t windowOf(uint32_t layer) const { return windows.empty() ? 0 : windows[layer]; }
  // What products of queries and keys, both turned, are taken times: 1 / sqrt(headDim), and twice
  // the scaling's attentionFactor, which belongs to cosines and sines of both.
  float attentionScale() const;
  bool operator==(const ModelConfig&) const = default;
};

// The configuration of the model in `directory`: config.json, and eos tokens of
// generation_config.json where it exists (they win, as in the reference implementation). Fields
// that are absent have Hugging Face's defaults; unknown fields are ignored. Errors name file and
// field: kNotFound without config.json, kUnsupported for another architecture or a feature this
// engine lacks (RoPE of other kinds or over part of a head, biases in the feed-forward part,
// quantised weights), kInvalidArgument for anything that makes no sense.
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

}  // namespace spolia::engine
