// The tier thread: takes requests and the store's completions from two queues, so that nothing
// blocks in submit*, and does all parsing and verifying. Owned by TierSet, which outlives no
// request: destruction finishes what was accepted.
//
// A later memory tier belongs here, between a request and the store: looked at in begin(), filled
// where completions are given.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <unordered_map>
#include <vector>

#include "codec/chunk_exchange.h"
#include "server/store/store.h"
#include "server/tiers/entry_attributes.h"
#include "server/tiers/parsed_headers.h"
#include "server/tiers/tier_set.h"

namespace spolia::tiers {

struct TierRequest {
  enum class Kind : uint8_t { kStop, kOpen, kFetch, kStore, kRemove, kPutValue, kGetValue };

  Kind kind = Kind::kStop;
  Namespace ns;
  ChunkId id;
  codec::KvRange range;  // fetch
  AlignedBuffer bytes;   // store, put
  codec::PutMode mode = codec::PutMode::kIfAbsent;
  codec::EntryKind entryKind = codec::EntryKind::kChunk;  // put
  std::string label;                                      // put
  uint64_t expiresAt = 0;                                 // put
  uint64_t cookie = 0;
  codec::ChunkQueue* queue = nullptr;
};

struct TierCounters {
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};
  std::atomic<uint64_t> differingPuts{0};
};

class TierWorker {
 public:
  // `store` outlives it.
  explicit TierWorker(store::Store& store);
  ~TierWorker();
  TierWorker(const TierWorker&) = delete;
  TierWorker& operator=(const TierWorker&) = delete;

  // Any thread.
  void submit(TierRequest request) { requests_.push(std::move(request)); }
  const TierCounters& counters() const { return counters_; }

 private:
  // Frames that are neighbours in the stream, read at once.
  struct Run {
    uint64_t offset = 0;
    uint64_t length = 0;
    store::StoreCompletion read;
  };
  struct Operation {
    TierRequest request;
    StoreKey key;
    codec::EntryInfo info;       // of the entry found, or of what is put
    EntryAttributes attributes;  // likewise
    codec::PutOutcome outcome = codec::PutOutcome::kStored;
    std::shared_ptr<const CachedHeader> header;
    std::vector<uint32_t> frames;
    std::vector<Run> runs;
    size_t readsLeft = 0;
    uint64_t bytesRead = 0;
    bool readingHeader = false;
    bool retried = false;
    bool writing = false;  // holds its key in writers_
  };

  void run();
  void accept(TierRequest request);
  void begin(uint64_t number, Operation& operation);
  void onStore(store::StoreCompletion completion);

  void beginRead(uint64_t number, Operation& operation);
  void onHeader(uint64_t number, Operation& operation, store::StoreCompletion completion);
  void afterHeader(uint64_t number, Operation& operation);
  void submitRuns(uint64_t number, Operation& operation);
  void onRun(uint64_t number, Operation& operation, size_t part, store::StoreCompletion completion);
  void finishFetch(uint64_t number, Operation& operation);
  // Starts a read again, once, when the entry was replaced while it was read.
  bool retryIfReplaced(uint64_t number, Operation& operation);
  void onValue(uint64_t number, Operation& operation, store::StoreCompletion completion);

  Status prepareStore(Operation& operation);
  Status prepareValue(Operation& operation);
  // Whether the key is free for this writer; otherwise it waits for its turn.
  bool claimKey(uint64_t number, Operation& operation);
  void beginWrite(uint64_t number, Operation& operation);
  void onWritten(uint64_t number, Operation& operation, store::StoreCompletion completion);

  // Gives the completion and forgets the operation.
  void finish(uint64_t number, codec::ChunkCompletion completion);
  void fail(uint64_t number, Status status);

  store::Store& store_;
  TierCounters counters_;
  CompletionQueue<TierRequest> requests_;
  store::StoreQueue stored_;
  // The rest is the tier thread's.
  ParsedHeaders headers_;
  std::unordered_map<uint64_t, Operation> operations_;
  // Keys being written or removed, with those who wait: one change of a key at a time, so that the
  // decision "is it there, is it finer" still holds when the bytes go in.
  std::unordered_map<StoreKey, std::deque<uint64_t>, DigestHash> writers_;
  uint64_t nextNumber_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spolia::tiers
