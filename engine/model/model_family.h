// What the architectures of config.json have in common and where they differ: which fields count,
// what they default to, and which parts a layer has. Used by model_config. Immutable; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/base/result.h"
#include "engine/model/json_file.h"
#include "engine/model/model_config.h"

namespace spolia::engine {

// Which fields declare a sliding window.
enum class WindowFields : uint8_t {
  kNone,
  kEveryLayer,  // sliding_window, 4096 unless the file says something, null for none
  kSomeLayers,  // the same where use_sliding_window is true, by layer_types or max_window_layers
};

struct ModelFamily {
  const char* architecture;
  const char* modelType;
  uint32_t kvHeads;       // default of num_key_value_heads; 0: as many as heads
  uint32_t headDim;       // default of head_dim; 0: hidden size by heads
  uint32_t maxPositions;  // default of max_position_embeddings
  bool qkvBias;           // always there; not o_proj
  bool biasField;         // attention_bias counts, for q, k, v and o alike
  bool qkNorm;
  bool bosAndEos;  // bos_token_id and eos_token_id default to 1 and 2; else bos must be named
  WindowFields windows;
};

// By "architectures", or by "model_type" where that is absent; `name` stands for the file in
// errors. kInvalidArgument or kUnsupported, naming the field.
Result<const ModelFamily*> familyOf(const JsonFields& fields, std::string_view name);

// Sets biases, norms and windows of `out`, whose layers are set already.
Status readFeatures(const JsonFields& fields, const ModelFamily& family, ModelConfig& out);

}  // namespace spolia::engine
