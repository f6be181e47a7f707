// What a cache without a codec does: the KV of chunks in the page type, uncompressed, one value a
// chunk and layer; loaded as many layers ahead as the linker's, and linked by the same plan.
//
// Borrows all it is given. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/chunk_exchange.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/prompt.h"
#include "engine/model/model.h"
#include "engine/transformer/dense_kv.h"
#include "engine/transformer/forward.h"

namespace spolia::bench {

class RawChunks {
 public:
  static constexpr codec::ElementType kPageType = codec::ElementType::kBf16;  // as wide as fp16
  static constexpr uint32_t kLookaheadLayers = 3;                             // as the linker's

  RawChunks(const engine::Model& model, const engine::Transformer& transformer,
            engine::ThreadPool& pool, engine::KvSource& source)
      : model_(model), transformer_(transformer), pool_(pool), source_(source) {}

  // Computes and stores the prompt's chunks: bytes.
  Result<uint64_t> store(const engine::Prompt& prompt);

  struct Linked {
    std::vector<float> logits;
    uint64_t bytesRead = 0;
    uint32_t rowsComputed = 0;
  };
  // first-k over what store() left. The first value that cannot be had ends it.
  Result<Linked> link(const engine::Prompt& prompt, uint32_t k);

 private:
  class Loading;

  const engine::Model& model_;
  const engine::Transformer& transformer_;
  engine::ThreadPool& pool_;
  engine::KvSource& source_;
};

}  // namespace spolia::bench
