// ChunkLoader: brings stored rows into KV pages, layer by layer, ahead of the pass that needs them.
// Frames are fetched from a KvSource, decoded by background tasks of the kernel pool into staging
// memory, and imported by the pass's thread. How far it runs ahead is bounded in layers.
//
// Owned by a Linker; borrows source and pool. One thread calls it, for one request at a time; the
// pool's workers decode.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/linker/chunk_profiles.h"
#include "engine/linker/completion_router.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/link_plan.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// The answer to the question whether a chunk is stored.
struct OpenedChunk {
  Status status = Status(ErrorCode::kDeadlineExceeded, "no answer in time");
  std::shared_ptr<const codec::StreamHeader> header;
  codec::Tier tier = codec::Tier::kNone;
  uint64_t bytesRead = 0;
  std::shared_ptr<const codec::Profile> profile;  // that the header names; null: it names none
};

// Rows of one chunk to bring.
struct ChunkLoad {
  ChunkId id;
  std::shared_ptr<const codec::StreamHeader> header;
  LoadedRows rows;
  std::shared_ptr<const codec::Profile> profile;  // as open() gave it
};

// What became of a load.
struct LoadOutcome {
  Status status;  // the first failure; ok while there is none
  codec::Tier tier = codec::Tier::kNone;
  uint64_t bytesRead = 0;
};

// Layers [begin, end) of a chunk that are fetched together.
struct LayerSpan {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const LayerSpan&) const = default;
};

// Fetches smaller than this cost more in requests than they win in overlap: a store reads blocks
// of 64 KiB.
inline constexpr uint64_t kMinFetchBytes = 128 << 10;

// Cuts a chunk's layers into the spans to fetch: no plane group lies across a cut, so that no frame
// is read twice, and a span has at least `minBytes` of frames, of levels 0 .. maxLevel, where the
// chunk has as many.
std::vector<LayerSpan> fetchSpans(const codec::StreamHeader& header, const LoadedRows& rows,
                                  uint64_t minBytes, uint8_t maxLevel = UINT8_MAX);

class ChunkLoader {
 public:
  // Time that loading may hold up a request, all waits together: a quarter of it for the headers,
  // up to three quarters when layers are imported, the rest for dropFailed(), so that one chunk
  // that never comes does not make the others late. Past its part, what is not there is late.
  using Patience = std::chrono::nanoseconds;

  struct Config {
    codec::ElementType pageType = codec::ElementType::kBf16;
    uint32_t lookaheadLayers = 3;
    uint64_t minFetchBytes = kMinFetchBytes;
    uint8_t maxLevel = UINT8_MAX;  // levels above are not fetched
  };

  // `profile`, which may be null, need not be fetched when a chunk names it.
  ChunkLoader(KvSource& source, ThreadPool& pool,
              std::shared_ptr<const codec::Profile> profile = nullptr);
  // Waits for answers the source still owes.
  ~ChunkLoader();
  ChunkLoader(const ChunkLoader&) = delete;
  ChunkLoader& operator=(const ChunkLoader&) = delete;

  // Starts a request with so much patience; forgets the one before.
  void reset(Patience patience);

  // Asks for the headers of `ids`, and for the profiles they name that are not at hand; one answer
  // each. What has not answered in time is kDeadlineExceeded; a chunk whose profile cannot be had
  // is kNotFound, or what kept the profile from being used.
  std::vector<OpenedChunk> open(std::span<const ChunkId> ids);

  // Begins to load; the loads' headers have one shape for all layers they list.
  void start(std::vector<ChunkLoad> loads, const Config& config);

  // Waits until this layer of every load is decoded and puts it into the pages; derived layers are
  // the caller's. False when a load
  // has failed or is late: then nothing may be computed on top of these pages until dropFailed().
  bool importLayer(uint32_t layer, KvPages& pages);

  // Waits until every load is decoded whole or has failed, and forgets those that failed. After
  // this importLayer() of the rest succeeds.
  void dropFailed();

  // One per load of start(), in order. Valid until reset().
  std::vector<LoadOutcome> outcomes() const;
  // Time spent waiting since reset().
  std::chrono::nanoseconds waited() const { return waited_; }

 private:
  class Session;

  // Submits the request with this number.
  using Request = std::function<void(uint32_t index, uint64_t cookie, codec::ChunkQueue& queue)>;

  std::vector<codec::ChunkCompletion> ask(size_t count, const Request& request);
  void fetchProfiles(std::vector<OpenedChunk>& chunks);
  bool waitFor(const std::function<bool()>& done, Patience budget);
  void submitUpTo(uint32_t layer);

  KvSource& source_;
  ThreadPool& pool_;
  ChunkProfiles profiles_;
  Config config_;
  Patience patience_{};
  std::chrono::nanoseconds waited_{};
  std::shared_ptr<Session> session_;
  CompletionRouter router_;  // last: stops before the rest goes
};

}  // namespace spolia::engine
