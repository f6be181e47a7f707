// The tier thread: takes requests and the store's completions from queues, so that nothing blocks
// in submit*, and does all parsing and verifying. Owned by TierSet, which outlives no request:
// destruction finishes what was accepted.
//
// Every read begins with the index: what the memory tier and the cache of headers hold is used for
// the very entry that the index names then.
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
#include "server/tiers/extent_reader.h"
#include "server/tiers/extent_writer.h"
#include "server/tiers/memory_tier.h"
#include "server/tiers/parsed_headers.h"
#include "server/tiers/tier_set.h"

namespace spolia::tiers {

struct TierRequest {
  enum class Kind : uint8_t {
    kStop,
    kOpen,
    kFetch,
    kStore,
    kRemove,
    kPutValue,
    kGetValue,
    kReadAhead,
    kSettle,
    kDiscard,
    kDrop
  };

  Kind kind = Kind::kStop;
  Namespace ns;
  ChunkId id;
  std::vector<ChunkId> ids;       // read ahead; no completion
  std::vector<StoreKey> extents;  // discard: of entries that are not there; no completion
  codec::KvRange range;           // fetch
  AlignedBuffer bytes;            // store, put
  codec::PutMode mode = codec::PutMode::kIfAbsent;
  codec::EntryKind entryKind = codec::EntryKind::kChunk;  // put
  std::string label;                                      // put
  AskedLifetime lifetime;                                 // store, put
  Deadline deadline = kNoDeadline;                        // open, fetch, getValue
  uint64_t cookie = 0;
  codec::ChunkQueue* queue = nullptr;  // null: nobody is told
};

// Entries that the store gave up, as its I/O thread tells. Outlives the store.
using GoneQueue = CompletionQueue<store::EntryMeta>;

struct TierCounters {
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};
  std::atomic<uint64_t> differingPuts{0};
  std::atomic<uint64_t> memoryHits{0};         // of the hits, those from memory alone
  std::atomic<uint64_t> memoryServedBytes{0};  // payload in them
};

class TierWorker {
 public:
  // `store` and `gone`, what it gave up, outlive it. The memory tier has so many bytes, 0: there is
  // none.
  TierWorker(store::Store& store, GoneQueue& gone, uint64_t memoryBytes, Lifetimes lifetimes);
  ~TierWorker();
  TierWorker(const TierWorker&) = delete;
  TierWorker& operator=(const TierWorker&) = delete;

  // Any thread.
  void submit(TierRequest request) { requests_.push(std::move(request)); }
  const TierCounters& counters() const { return counters_; }
  const MemoryFigures& memoryFigures() const { return memory_.figures(); }

 private:
  struct Operation {
    TierRequest request;
    StoreKey key;
    uint64_t version = 0;        // of the entry found
    codec::EntryInfo info;       // of the entry found, or of what is put
    EntryAttributes attributes;  // likewise
    codec::PutOutcome outcome = codec::PutOutcome::kStored;
    // Of what was there and is removed or replaced; of what is dropped.
    std::optional<Extents> before;
    std::shared_ptr<const CachedHeader> header;
    std::vector<uint32_t> frames;
    uint64_t bytesRead = 0;
    int restarts = 0;
    bool readingHeader = false;
    bool writing = false;  // holds its key in writers_
  };

  void run();
  void accept(TierRequest request);
  void begin(uint64_t number, Operation& operation);
  void readAhead(const TierRequest& request);

  void beginRead(uint64_t number, Operation& operation);
  void onRead(uint64_t number, ValueRead read);
  void onHeader(uint64_t number, Operation& operation, PayloadRead read);
  void afterHeader(uint64_t number, Operation& operation);
  void readFrames(uint64_t number, Operation& operation);
  void onFrames(uint64_t number, Operation& operation, PayloadRead read);
  void onValue(uint64_t number, Operation& operation, PayloadRead read);
  // Begins a read again, a few times, when it was `replaced` or what it failed with cannot be the
  // last word: the entry is another by now, or the bytes are from memory and wrong there.
  bool restart(uint64_t number, Operation& operation, const PayloadRead& read);
  // Reads for an operation, by its deadline.
  void read(uint64_t number, const Operation& operation, const std::vector<PayloadRange>& ranges,
            ExtentReader::Interest interest);
  static ValueSource sourceOf(const Operation& operation);

  Status prepareStore(Operation& operation);
  void findParent(Operation& operation, const codec::ChunkIdentity& identity);
  Status prepareValue(Operation& operation);
  // Whether the key is free for this writer; otherwise it waits for its turn.
  bool claimKey(uint64_t number, Operation& operation);
  void beginWrite(uint64_t number, Operation& operation);
  void write(uint64_t number, Operation& operation, uint64_t expiresAt);
  void onWritten(uint64_t number, Status status);
  // An entry was given up, or an extent.
  void onGone(const store::EntryMeta& meta);
  // Removes the entry unless it is another than the one with these extents: one of them is missing.
  void drop(const StoreKey& entry, const Extents& extents);

  // Gives the completion and forgets the operation.
  void finish(uint64_t number, codec::ChunkCompletion completion);
  void fail(uint64_t number, Status status);

  store::Store& store_;
  const Lifetimes lifetimes_;
  TierCounters counters_;
  CompletionQueue<TierRequest> requests_;
  store::StoreQueue written_;
  GoneQueue& gone_;
  // The rest is the tier thread's.
  MemoryTier memory_;
  ExtentReader reader_;
  ExtentWriter extents_;
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
