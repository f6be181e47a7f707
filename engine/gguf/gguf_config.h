// A model's configuration as the keys of a GGUF file say it. Pure functions; any thread.
#pragma once

#include "codec/base/result.h"
#include "engine/gguf/gguf_fields.h"
#include "engine/model/model_config.h"

namespace spolia::engine {

// Architectures llama (Mistral among them), qwen2 and qwen3. Which parts a layer has beyond what
// all have, the tensors tell: biases, norms of q and k, a head of its own, and factors of RoPE
// (rope_freqs.weight). Equal to what Hugging Face's config.json of the same model gives wherever KV
// depends on it, but for RoPE of kind llama3, which these files hold as factors.
//
// Errors name file and key: kUnsupported for another architecture or what this engine lacks
// (experts, RoPE over part of a head or of other kinds), kInvalidArgument for anything that is
// missing or makes no sense.
Result<ModelConfig> readGgufConfig(const GgufFile& gguf, std::string_view file);

// The architecture's own order of the rows of q and k: llama's are interleaved by heads.
bool interleavesHeads(const GgufFile& gguf);

}  // namespace spolia::engine
