// Computes the KV of a chunk in isolation and encodes it: BOS rows (one, or four in compile mode
// `lego0`) and the tokens at positions 0.., the BOS rows dropped, K before RoPE rounded to the page
// type.
//
// Borrows model and transformer. One thread at a time (it keeps the transformer's pool busy).
#pragma once

#include <memory>
#include <span>

#include "codec/base/aligned_buffer.h"
#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/codec.h"
#include "codec/lossy/profile.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

// Identity of an isolated text chunk under a model.
codec::ChunkIdentity textChunkIdentity(const ModelFingerprint& fingerprint,
                                       std::span<const codec::TokenId> tokens,
                                       codec::CompileMode mode = codec::CompileMode::kBos);

class ChunkCompiler {
 public:
  struct Config {
    codec::Preset preset = codec::Preset::kHigh;
    codec::ElementType pageType = codec::ElementType::kBf16;
    codec::CompileMode mode = codec::CompileMode::kBos;  // or kLego0
    // For the presets `balanced` and `small`.
    std::shared_ptr<const codec::Profile> profile = nullptr;
    int8_t gain = 0;  // quarter octaves that their steps are widened by
  };

  ChunkCompiler(const Model& model, const Transformer& transformer, Config config)
      : model_(model), transformer_(transformer), config_(config) {}

  // The stream of the chunk these tokens make. kInvalidArgument when there are none, or more than
  // the model has positions for; what the codec refuses otherwise.
  Result<AlignedBuffer> compile(std::span<const codec::TokenId> tokens) const;

 private:
  const Model& model_;
  const Transformer& transformer_;
  const Config config_;
};

}  // namespace spolia::engine
