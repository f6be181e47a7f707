// ChunkLoader: brings stored rows into KV pages, layer by layer, ahead of the pass that needs them.
// Frames are fetched from a KvSource, decoded by background tasks of the kernel pool into staging
// memory, and imported by the pass's thread. How far it runs ahead is bounded in layers.
//
// Nothing here waits: what is not there yet is asked for again, after the pool was notified or at
// lateAt(). One request: open what may be stored, load, drop what failed. Owned by a LinkJob;
// borrows source, pool, router and profiles. One thread calls it; the pool's workers decode.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
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
  using Clock = CompletionRouter::Clock;
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

  ChunkLoader(KvSource& source, ThreadPool& pool, CompletionRouter& router, ChunkProfiles& profiles,
              Patience patience);
  // Answers that are still owed go nowhere.
  ~ChunkLoader();
  ChunkLoader(const ChunkLoader&) = delete;
  ChunkLoader& operator=(const ChunkLoader&) = delete;

  // Asks for the headers of `ids`, and for the profiles they name that are not at hand.
  void open(std::vector<ChunkId> ids);
  // True when all answers are there, or late: then opened() has one each, in order. What has not
  // answered in time is kDeadlineExceeded; a chunk whose profile cannot be had is kNotFound, or
  // what kept the profile from being used.
  bool openSettled();
  const std::vector<OpenedChunk>& opened() const { return opened_; }

  // Begins to load; the loads' headers have one shape for all layers they list.
  void start(std::vector<ChunkLoad> loads, const Config& config);

  // Whether this layer of every load is decoded. kFailed when a load has failed or is late: then
  // nothing may be computed on top of these pages until dropFailed().
  enum class Layer : uint8_t { kWaiting, kReady, kFailed };
  Layer layerState(uint32_t layer);
  // Puts a layer that is kReady into the pages; derived layers are the caller's.
  void importLayer(uint32_t layer, KvPages& pages);

  // True when every load is decoded whole or has failed; those that failed are then forgotten, and
  // every layer of the rest is kReady.
  bool dropFailed();

  // Whether asking again would tell something new.
  bool changed() const;
  // While something is waited for: when it is late.
  Clock::time_point lateAt() const { return lateAt_; }

  // One per load of start(), in order.
  std::vector<LoadOutcome> outcomes() const;
  // Time in which the caller was told to wait.
  std::chrono::nanoseconds waited() const { return waited_; }

 private:
  class Session;
  struct Answers;
  enum class Wait : uint8_t { kOver, kGoesOn, kLate };

  // Submits the request with this number.
  using Request = std::function<void(uint32_t index, uint64_t cookie, codec::ChunkQueue& queue)>;

  void ask(size_t count, const Request& request);
  std::vector<codec::ChunkCompletion> takeAnswers();
  void takeHeaders();
  void askForProfiles();
  void takeProfiles();
  Wait wait(std::function<bool()> done, Patience budget);
  void submitUpTo(uint32_t layer);
  void closeGroup();

  KvSource& source_;
  ThreadPool& pool_;
  CompletionRouter& router_;
  ChunkProfiles& profiles_;
  const Patience patience_;
  Config config_;
  std::vector<ChunkId> ids_;
  std::vector<OpenedChunk> opened_;
  std::map<Sha256Digest, Status> missingProfiles_;
  bool headersTaken_ = false;
  std::shared_ptr<Answers> answers_;  // of the questions that are open; null: none
  std::shared_ptr<Session> session_;
  std::optional<uint32_t> group_;  // of the router, while requests may be out
  std::function<bool()> awaited_;  // none: nothing is waited for
  Clock::time_point waitingSince_{}, lateAt_ = Clock::time_point::max();
  std::chrono::nanoseconds waited_{};
};

}  // namespace spolia::engine
