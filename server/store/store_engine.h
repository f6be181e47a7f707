// StoreEngine: what a store does, as a single-threaded machine over a ring and an index. Store puts
// a thread around it; simulations crank it by hand, so that a seed replays everything.
//
// Mutations of one key happen one after the other, in the order accepted. One thread, apart from
// figures().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "codec/base/deadlines.h"
#include "server/store/append_log.h"
#include "server/store/index/index.h"
#include "server/store/lifetime/lease_table.h"
#include "server/store/record_reader.h"
#include "server/store/residents.h"
#include "server/store/segment_cleaner.h"
#include "server/store/store.h"

namespace spolia::store {

// A read that found its record damaged: answered when the record is out of the way.
struct DamagedRead {
  uint64_t sequence = 0;
  StoreCompletion answer;
};

struct StoreOp {
  // kVerify reads without handing out. What the store does by itself: kMove writes a record again
  // elsewhere. kExpire gives up those of `keys` that have expired, without a completion. kSettle
  // completes at once: what the store had decided before is done.
  enum class Kind : uint8_t { kPut, kGet, kVerify, kRemove, kMove, kExpire, kSettle };

  Kind kind = Kind::kGet;
  PutRequest put;  // kPut, kMove
  StoreKey key;    // of the others; kPut: put.meta.key
  uint64_t offset = 0;
  uint64_t length = 0;
  Deadline deadline = kNoDeadline;  // kGet
  uint64_t cookie = 0;
  StoreQueue* queue = nullptr;
  std::optional<DamagedRead> damaged;  // kRemove of what a read found damaged
  bool unknown = false;                // kRemove: there was no entry
  uint64_t sequence = 0;               // kMove: of the record
  std::function<void(Status)> done;    // told instead of a queue
  std::vector<StoreKey> keys;          // kExpire
};

struct EngineConfig {
  AppendLogConfig log;
  uint64_t capacityBytes = 0;  // the configured cap, for figures(); 0: that of the segments
  std::string ioMissing;       // for figures()
  // Seconds; what expiry is measured by.
  std::function<uint64_t()> clock;
  // What deadlines are measured by.
  Deadlines::Clock monotonic = std::chrono::steady_clock::now;
  // Milliseconds; what the policy is told.
  std::function<uint64_t()> clockMs = [] { return uint64_t{0}; };
  // What goes when the store is full; null: nothing, and a put that does not fit is refused.
  std::function<std::unique_ptr<EvictionPolicy>(uint64_t budgetBytes)> makePolicy;
  // What the index's entries may take, by indexedBytes(), and its files at most.
  uint64_t indexEntryBytes = UINT64_MAX;
  uint64_t indexFileBytes = UINT64_MAX;
  // Told when each entry that is there, or comes, expires, or is to be looked at again; 0: never.
  std::function<void(uint64_t)> expires = [](uint64_t) {};
  // What it holds is neither evicted nor expires; null: nothing. Outlives the engine.
  const LeaseTable* leases = nullptr;
  // Told of each entry whose record was found damaged and which is a miss from then on.
  std::function<void(const StoreKey&)> damaged = [](const StoreKey&) {};
  // Told of each entry that is a miss from then on though nobody removed it.
  std::function<void(const EntryMeta&)> gone = [](const EntryMeta&) {};
  // Those that are of no use without the entry, nor it without them: they are evicted together.
  std::function<std::vector<StoreKey>(const EntryMeta&)> companions = [](const EntryMeta&) {
    return std::vector<StoreKey>();
  };
  // Whether any value that the entry's key ever had is as good as this one: one may come back after
  // this one was evicted, when the index is made anew.
  // Null: no.
  std::function<bool(const EntryMeta&)> valuesAlike;
  Residents::WorthOf worthOf = [](const EntryMeta&) { return EntryWorth(); };
  std::vector<OwnerQuota> quotas;
};

class StoreEngine final : private CleaningHost {
 public:
  // Ring and index outlive it; the table is what Recovery gave. Evicts what is over the budget.
  StoreEngine(EngineConfig config, Ring& ring, Index& index, SegmentTable table);
  StoreEngine(const StoreEngine&) = delete;
  StoreEngine& operator=(const StoreEngine&) = delete;

  void accept(StoreOp op);
  // As a get does, for an entry that was not read here.
  void noteUse(const StoreKey& key) { residents_.touch(key, nowMs()); }
  // Starts what can start and handles what has completed or is late. kBlock: waits no longer than
  // until the next deadline.
  void pump(Ring::Wait mode);
  // Nothing accepted is unfinished.
  bool idle() const { return driver_.inFlight() == 0 && mutations_.empty(); }

  // Any thread.
  StoreFigures figures() const;
  // What records of entries may take together.
  uint64_t entryBytes() const { return residents_.budget().record; }
  uint64_t longestPayload() const { return log_.maxPayload(); }
  bool expired(const EntryMeta& meta) const {
    return meta.expiresAt != 0 && meta.expiresAt <= config_.clock() && !leased(meta.key);
  }

 private:
  struct Figures {
    std::atomic<uint64_t> entries{0}, usedBytes{0}, bytesRead{0}, bytesWritten{0};
    std::atomic<uint64_t> corruptBlocks{0}, syncs{0};
    std::atomic<uint64_t> evicted{0}, expired{0}, movedBytes{0}, cleanedSegments{0};
    std::atomic<uint64_t> lateReads{0};
  };
  // A batch of changes, and what has to be told once the index has it.
  struct Changes {
    IndexBatch batch;
    std::vector<IndexEntry> dead;
    std::vector<IndexEntry> evicted;  // and expired
    uint64_t expired = 0;             // of them
  };

  void mutate(StoreOp op);
  bool takeBack(StoreOp& op);
  bool letCleaningPass(const StoreKey& key);
  void startMutation(StoreOp& op);
  void startPut(StoreOp& op, const std::optional<IndexEntry>& known);
  void startRemove(StoreOp& op, const std::optional<IndexEntry>& known);
  static Footprint footprintOf(const AppendRequest& request);
  void append(const StoreOp& op, AppendRequest request);
  void commit(std::vector<Appended> records, std::vector<SegmentMark> marks);
  Changes changesOf(const std::vector<Appended>& records, std::vector<SegmentMark> marks);
  void applied(const Changes& changes, const std::vector<Appended>& records);
  bool isMove(uint64_t appendCookie) const;
  void finishMutation(const StoreKey& key, StoreCompletion completion);
  // A get that is being read.
  struct Get;
  void startGet(const StoreOp& op);
  static void answerGet(const StoreOp& op, StoreCompletion completion, ReadResult result);
  void finishGet(const StoreOp& op, const IndexEntry& entry, ReadResult result);
  // A segment may have been waiting for its last reader.
  void readerLeft();
  void quarantine(const StoreOp& op, uint64_t sequence, StoreCompletion answer);
  // Expiry and leases: store_engine_expiry.cc.
  void expire(const std::vector<StoreKey>& keys);
  bool mayExpire(const StoreKey& key, std::optional<IndexEntry>& entry);
  bool leased(const StoreKey& key) const {
    return config_.leases != nullptr && config_.leases->holds(key);
  }
  Footprint leasedFootprint() const {
    return config_.leases == nullptr ? Footprint() : config_.leases->held();
  }
  void refreshFigures();
  // For the policy: never goes back, whatever the clock does.
  uint64_t nowMs() { return latestMs_ = std::max(latestMs_, config_.clockMs()); }

  // Space: store_engine_space.cc.
  void loadResidents();
  Status loadInAnyOrder();
  Status loadInOrderOfWriting();
  void load(const EntryMeta& meta, uint64_t recordBytes);
  Status refuseIfTooMuch(const PutRequest& put);
  Status withinQuota(const EntryMeta& meta, uint64_t bytes) const;
  bool evictOne(Changes& changes, const Residents::Claim* claim);
  void giveUp(const IndexEntry& entry, Changes& changes, Departure why = Departure::kEvicted);
  void giveUpCompanions(const IndexEntry& entry, Changes& changes);
  Status applyEvictions(Changes changes);
  void keepEvicted(const Changes& changes);
  Status evict(const IndexEntry& entry, Departure why = Departure::kEvicted);
  std::optional<IndexEntry> entryOf(Residents::Prefix prefix);
  bool evictSome(uint64_t bytes);
  void relieve();
  bool makeRoom();
  // Cleaning: store_engine_cleaning.cc.
  void chooseCleaning();
  OpenFor segmentForMoves(const EntryMeta& meta) const;
  // Its record keeps what is older of its key from coming back.
  bool saysMore(const EntryMeta& meta, bool tombstone) const {
    return tombstone || !config_.valuesAlike || !config_.valuesAlike(meta);
  }
  void cleanAhead();
  void keepForNext();
  void keepForCleaning(const Segment& segment) {
    log_.keepForMoves(segment.liveBytes, segment.liveBytes);
  }
  void dropSurplus();
  void shrink();
  void startCleaning(Segment& segment);
  void leave(const RecordHeader& header, const RecordAddress& address, Done done) override;
  Status carry(const RecordHeader& header, const RecordAddress& address);
  Status evictUnmoved(const StoreKey& key, const RecordAddress& address, Status noRoom);
  void move(const IndexEntry& entry, int attempt, Done done);
  void unreadable(SegmentId id) override;
  Status settle(SegmentId id) override;
  void cleaned(SegmentId id, Status outcome) override;
  size_t mostWords() const;
  Status writeWords(const std::vector<LastWord>& more);
  void keepWords(std::vector<AppendRequest> tombstones, const Status& noRoom);
  void keepWordsOfStalled(const Status& noRoom);

  const EngineConfig config_;
  Index& index_;
  SegmentTable table_;
  RingDriver driver_;
  AppendLog log_;
  RecordReader reader_;
  Deadlines deadlines_;  // of gets that are being read
  SegmentCleaner cleaner_;
  Residents residents_;
  // Per key with a mutation under way: it and those that wait for it.
  std::unordered_map<StoreKey, std::deque<StoreOp>, DigestHash> mutations_;
  std::unordered_map<uint64_t, StoreKey> appends_;  // by append cookie
  std::deque<AppendRequest> stalled_;               // wait for room, in order
  Footprint pendingPuts_;                           // of puts that are not committed
  // Last words of the segment that is being emptied.
  std::unordered_map<StoreKey, uint64_t, DigestHash> carried_;
  size_t cleanedInVain_ = 0;  // segments, since something that waited went on
  size_t shrunkInVain_ = 0;   // likewise, since one could be dropped
  uint64_t cleanedForRolls_ = 0;
  std::string complaint_;  // why the last segment to be emptied was not; empty: it was
  uint64_t latestMs_ = 0;
  uint64_t nextAppend_ = 1;
  // Keys whose last append failed: its record may be on the disk all the same and come back at the
  // next opening, so removing such a key takes a tombstone even when the index has no entry.
  std::unordered_set<StoreKey, DigestHash> inDoubt_;
  Figures figures_;
  const std::string backend_;
};

}  // namespace spolia::store
