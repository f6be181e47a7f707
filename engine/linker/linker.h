// Linker: puts stored chunks and fresh text together in one prompt. One pass over the rows that a
// method computes; the rows it loads lie in the KV pages before each layer's attention reads them,
// while those of later layers are still being fetched and decoded. A chunk that is absent, damaged,
// late or not of the prompt's tokens is computed like fresh text and named in the provenance: the
// answer never rests on a wrong byte.
//
// Borrows model, transformer, pool and source, which outlive it. Any number of jobs at a time, all
// stepped by one thread, which makes every other call too; writeBack() may run on another.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/link_job.h"
#include "engine/linker/link_plan.h"
#include "engine/linker/prompt.h"
#include "engine/linker/provenance.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

class Linker {
 public:
  struct Config {
    codec::ElementType pageType = codec::ElementType::kBf16;
    uint32_t lookaheadLayers = 3;  // how far loading runs ahead of the pass
    uint64_t minFetchBytes = kMinFetchBytes;
    uint8_t maxLevel = UINT8_MAX;  // the finest level that chunks are read to
    // How prefix chunks are written back. Anything but lossless is exact once only: behind such a
    // chunk nothing is written back any more.
    codec::Preset prefixPreset = codec::Preset::kLossless;
    // What prefix chunks are encoded with, and others decoded. Those that name another one are
    // decoded with that, which the source has.
    std::shared_ptr<const codec::Profile> profile = nullptr;
    // Where pages come from, of pageType; it outlives them. Null: each prompt has memory of its
    // own.
    PagePool* pool = nullptr;
  };

  // `source` null: nothing is ever stored.
  Linker(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource* source,
         Config config);
  Linker(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource* source)
      : Linker(model, transformer, pool, source, Config{}) {}

  // A job that computes the prompt's KV. kInvalidArgument when the prompt and its spare rows are
  // more than the model has positions for, naming both numbers. Failures of the source are no
  // failures of the job. `front` are pages of the pool that hold the prompt's first rows exactly,
  // at most shareableRows() of them. Borrows this linker.
  Result<std::unique_ptr<LinkJob>> start(const Prompt& prompt, const LinkOptions& options,
                                         std::vector<PageRef> front = {});
  // The same to its end.
  Result<LinkedPrompt> link(const Prompt& prompt, const LinkOptions& options);

  // Helps the pool until `done`, which is asked again after each thing that arrives or is decoded,
  // or until `at`.
  void waitUntil(std::chrono::steady_clock::time_point at, const std::function<bool()>& done);

  // Stores the prefix chunks that link() computed for method prefix; takes them off `linked`. What
  // the source refuses is told in the provenance and is no failure: the answer stands.
  void writeBack(LinkedPrompt& linked);

  // The last pass once more over pages that hold everything it loaded, for measuring what loading
  // costs: milliseconds. `linked` is what link() gave for `prompt`, which had no misses.
  Result<double> timeResident(const Prompt& prompt, const LinkOptions& options,
                              LinkedPrompt& linked);

 private:
  Status storePrefix(const KvPages& pages, const UnstoredPrefix& chunk);

  const Model& model_;
  const Transformer& transformer_;
  ThreadPool& pool_;
  KvSource* const source_;
  const Config config_;
  ChunkProfiles profiles_;
  bool profileStored_ = false;  // by this linker
  CompletionRouter router_;     // last: stops before the rest goes
};

}  // namespace spolia::engine
