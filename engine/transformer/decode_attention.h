// Attention of one new row each of several sequences, straight from their pages: keys are turned a
// run of 256 at a time, into memory that stays in a core's cache. A pass over many rows turns each
// key once for all of them (working_kv); a single row would pay for writing and reading that copy.
//
// Owned by a DecodeBatch; one call at a time. Nothing is allocated after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/chunk_identity.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model_config.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// The newest row of a sequence: its token, and the position that follows what the pages hold.
struct DecodeRow {
  KvPages* pages = nullptr;
  codec::TokenId token = 0;
  uint32_t position = 0;
};

class DecodeAttention {
 public:
  DecodeAttention(const ModelConfig& config, ThreadPool& pool);
  ~DecodeAttention();

  // out [rows][heads * headDim] = attention of the rows q, rotated and scaled, over keys
  // firstKeyOf(position, window) .. position of `layer` in each row's pages. The same bits as
  // attend() gives for the row.
  void attend(uint32_t layer, const MatrixView& q, std::span<const DecodeRow> rows,
              const RopeTable& rope, uint32_t window, const MutableMatrixView& out);

 private:
  struct Scratch;
  struct Call;

  static void attendHead(const Call& call, size_t row, uint32_t kvHead, Scratch& scratch);

  const ModelConfig& config_;
  ThreadPool& pool_;
  std::vector<Scratch> scratch_;  // one a thread
  std::atomic<size_t> next_{0};   // of the tasks of a call
};

}  // namespace spolia::engine
