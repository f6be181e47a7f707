// The tensors of a GGUF model under their Hugging Face names and in its shapes, [out][in].
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "codec/base/result.h"
#include "engine/gguf/gguf_parts.h"
#include "engine/model/model_config.h"
#include "engine/model/weight_file.h"

namespace spolia::engine {

// "model.layers.3.self_attn.q_proj.weight" of "blk.3.attn_q.weight". What has no such name keeps
// its own behind "gguf/", so that it cannot be taken for another.
std::string huggingFaceName(std::string_view name);
// The other way round.
std::string ggufName(std::string_view huggingFace);

// Takes the parts over. `config` is what readGgufConfig() made of them. kUnsupported for rows of q
// or k that would have to be put in order but are no whole blocks.
Result<std::unique_ptr<WeightSource>> ggufWeights(GgufParts parts, const ModelConfig& config);

}  // namespace spolia::engine
