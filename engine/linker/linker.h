// Linker: puts stored chunks and fresh text together in one prompt. One pass over the rows that a
// method computes; the rows it loads lie in the KV pages before each layer's attention reads them,
// while those of later layers are still being fetched and decoded. A chunk that is absent, damaged,
// late or not of the prompt's tokens is computed like fresh text and named in the provenance: the
// answer never rests on a wrong byte.
//
// Borrows model, transformer, pool and source, which outlive it. One request at a time; calls from
// one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/chunk_loader.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/link_plan.h"
#include "engine/linker/prompt.h"
#include "engine/linker/provenance.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

struct LinkOptions {
  LinkMethod method = LinkMethod::kFirstK;
  uint32_t k = kDefaultFirstK;  // first-k only
  // How long loading may hold up the request in all.
  std::chrono::milliseconds patience{10'000};
  // Rows to leave room for behind the prompt, for decoding.
  uint32_t spareRows = 64;
};

// A prefix chunk whose rows were computed and stand in the pages exactly.
struct UnstoredPrefix {
  codec::ChunkIdentity identity;
  uint32_t firstPosition = 0;
};

// A prompt whose KV is complete.
struct LinkedPrompt {
  std::unique_ptr<KvPages> pages;
  uint32_t rows = 0;
  std::vector<float> logits;  // of the last row, [vocabulary]
  Provenance provenance;
  std::vector<UnstoredPrefix> unstored;  // method prefix only
};

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
  };

  // `source` null: nothing is ever stored.
  Linker(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource* source,
         Config config);
  Linker(const Model& model, const Transformer& transformer, ThreadPool& pool, KvSource* source)
      : Linker(model, transformer, pool, source, Config{}) {}

  // kInvalidArgument when the prompt and its spare rows are more than the model has positions for,
  // naming both numbers. Failures of the source are no failures of this call.
  Result<LinkedPrompt> link(const Prompt& prompt, const LinkOptions& options);

  // Stores the prefix chunks that link() computed for method prefix; takes them off `linked`. What
  // the source refuses is told in the provenance and is no failure: the answer stands.
  void writeBack(LinkedPrompt& linked);

  // The last pass once more over pages that hold everything it loaded, for measuring what loading
  // costs: milliseconds. `linked` is what link() gave for `prompt`, which had no misses.
  Result<double> timeResident(const Prompt& prompt, const LinkOptions& options,
                              LinkedPrompt& linked);

 private:
  struct Request;

  Result<LinkedPrompt> linkSegments(const Prompt& prompt, const LinkOptions& options);
  std::vector<codec::ChunkIdentity> identitiesOf(const Prompt& prompt, LinkMethod method) const;
  void openChunks(Request& request);
  static void breakChain(Request& request);
  Status runPasses(Request& request);
  Status deriveFirstLayer(Request& request, const LinkPlan& plan) const;
  Result<bool> runPass(Request& request, const LinkPlan& plan, bool load);
  LinkPlan planOf(const Request& request) const;
  void startLoading(Request& request, const LinkPlan& plan);
  void finishProvenance(Request& request, const LinkPlan& plan);
  void collectUnstored(Request& request, const LinkPlan& plan) const;
  Status storePrefix(const KvPages& pages, const UnstoredPrefix& chunk);
  Status checkHeader(const codec::StreamHeader& header, const PromptSegment& segment) const;

  const Model& model_;
  const Transformer& transformer_;
  KvSource* const source_;
  const Config config_;
  const std::vector<codec::LayerShape> shape_;
  std::optional<ChunkLoader> loader_;  // none without a source
  bool profileStored_ = false;         // by this linker
};

}  // namespace spolia::engine
