// Store: the face of the disk tier. Opaque payloads under 32-byte keys, in segment files, with an
// index that can be rebuilt from them. Owned by whoever opened it; one process per directory.
//
// Threads: every method may be called from any thread. submit* return at once; the completion comes
// from the store's I/O thread, exactly one for each request, also when the store is closing
// (kCancelled). Acknowledged means durable: the record survives power loss once its completion is
// there, unless StoreConfig::ack says kMemory. server/DESIGN.md has the crash story.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "codec/base/completion_queue.h"
#include "codec/base/deadlines.h"
#include "codec/base/result.h"
#include "server/store/io/choose_ring.h"
#include "server/store/lifetime/lease_table.h"
#include "server/store/lifetime/store_clock.h"
#include "server/store/store_types.h"

namespace rocksdb {
class Env;
}

namespace spolia::store {

class Scrubber;  // server/store/scrubber.h

enum class AckMode : uint8_t { kDurable, kMemory };

struct StoreConfig {
  std::filesystem::path directory;
  // Hard cap on everything in the directory: segments, the index and its log. A 32nd, at least
  // 2 MiB, is the index's; of the segments, less one, up to 9 tenths may be live.
  uint64_t capacityBytes = 8ull << 30;
  // 0: chosen by the capacity. A store keeps the size that it was made with. No record is longer.
  uint64_t segmentBytes = 0;
  uint32_t queueDepth = 64;
  AckMode ack = AckMode::kDurable;
  IoBackend io = IoBackend::kAuto;
  // What goes when the store is full, by a policy's name (eviction/policy_factory.h); "none": a put
  // that does not fit is refused.
  std::string eviction = "none";
  // How fast a thread of its own reads all entries over and over to find damage; 0: not at all.
  uint64_t scrubBytesPerSecond = 0;
  // What an entry is good for; null: all alike. Called from the I/O thread and in open().
  std::function<EntryWorth(const EntryMeta&)> worthOf;
  // Entries that are of no use without the one, nor it without them; each names the others. They
  // are evicted together. Called from the I/O thread and in open(). Null: there are none.
  std::function<std::vector<StoreKey>(const EntryMeta&)> companions;
  // Whether any value that the entry's key ever had, removed ones too, is as good as this one: one
  // may come back after this one was evicted, when the index is made anew, which spares the store
  // remembering that they are gone. Called from the I/O thread. Null: no.
  std::function<bool(const EntryMeta&)> valuesAlike;
  // Told of each entry that is a miss from then on though nobody removed it: evicted, expired or
  // damaged. Called from the I/O thread and in open(). Null: nobody.
  std::function<void(const EntryMeta&)> gone;
  // What leases may hold. Bytes that are not set here: half the capacity for all, a quarter for
  // each group.
  LeaseLimits leases;
  // Tests put their own time here; nothing: the machine's.
  std::optional<ClockSources> clock;
  // Who has a quota; asked once the directory is this process's. Null: nobody.
  std::function<Result<std::vector<OwnerQuota>>()> quotas;
  // Tests put a simulated disk here; null: the real one chosen by `io`. Not owned.
  RingFactory* ringFactory = nullptr;
  // Likewise failing files under the index; null: the real ones. Not owned.
  rocksdb::Env* indexEnv = nullptr;

  // kInvalidArgument naming the field and what was expected.
  Status validate() const;
};

// What a put does when the key is there.
enum class PutPolicy : uint8_t { kIfAbsent, kReplace };

struct PutRequest {
  EntryMeta meta;  // payloadBytes is taken from `payload`
  AlignedBuffer payload;
  PutPolicy policy = PutPolicy::kIfAbsent;
};

struct StoreCompletion {
  uint64_t cookie = 0;
  // get: kNotFound (absent or expired), kCorrupt (a checksum failed: quarantined, counted),
  // kDeadlineExceeded.
  // put: kAlreadyExists (kIfAbsent and there), kOutOfSpace, kIoError.
  // remove: kNotFound.
  // put, remove: kUnavailable while the index takes no writes (StoreFigures::readOnly).
  Status status;
  // get: blocks that cover the range. put: the payload's memory, to be freed where that does not
  // keep the store; what it holds is not defined.
  AlignedBuffer data;
  uint64_t dataOffset = 0;        // get: where the asked range starts in `data`
  uint64_t dataLength = 0;        // get: how long it is
  uint64_t bytesRead = 0;         // get: read from the medium
  std::optional<EntryMeta> meta;  // of the entry found (get: with its version) or there already

  ByteSpan range() const { return data.span().subspan(dataOffset, dataLength); }
};

using StoreQueue = CompletionQueue<StoreCompletion>;

struct StoreFigures {
  uint64_t entries = 0;
  uint64_t usedBytes = 0;
  uint64_t capacityBytes = 0;
  uint64_t bytesRead = 0;  // by gets and moves
  uint64_t bytesWritten = 0;
  uint64_t corruptBlocks = 0;
  uint64_t syncs = 0;
  uint64_t evicted = 0;          // entries given up for others
  uint64_t expired = 0;          // entries given up because their time was over
  uint64_t leased = 0;           // entries that leases hold now
  uint64_t movedBytes = 0;       // written again to empty their segments
  uint64_t cleanedSegments = 0;  // emptied so
  uint64_t scrubbedEntries = 0;  // read in search of damage
  uint64_t lateReads = 0;        // given up at their deadline
  uint64_t indexBytes = 0;       // of the index's files
  std::string readOnly;          // why nothing is written now; empty: it is
  std::string ioBackend;
  std::string ioMissing;                // what that does without, and why; empty: nothing
  std::vector<OwnerUsage> owners;       // in no order
  std::vector<CapacityPoint> capacity;  // ascending; empty while nothing was asked for
};

class Store {
 public:
  // Locks the directory (created when absent), replays the segments' tails and opens. kUnavailable
  // naming the holder when another process has it; kUnsupported, touching nothing, for a newer
  // format; kInvalidArgument for a bad configuration.
  static Result<std::unique_ptr<Store>> open(const StoreConfig& config);
  // Finishes what was accepted, then closes.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void submitPut(PutRequest request, uint64_t cookie, StoreQueue& queue);
  // Payload bytes [offset, offset + length), clipped to what there is; widened to checksum blocks
  // for reading, every block verified. When the deadline passes the completion comes at once, and
  // the read is given up; what it has of memory comes back when the disk has let go of it.
  void submitGet(const StoreKey& key, uint64_t offset, uint64_t length, uint64_t cookie,
                 StoreQueue& queue, Deadline deadline = kNoDeadline);
  // Durable before its completion.
  void submitRemove(const StoreKey& key, uint64_t cookie, StoreQueue& queue);

  // Reads all of an entry's record to see whether it is intact; a completion as of a get, without
  // data. Does not count as use.
  void submitVerify(const StoreKey& key, uint64_t cookie, StoreQueue& queue);

  // From the index alone; no disk read of the payload. nullopt: absent or expired.
  Result<std::optional<EntryMeta>> find(const StoreKey& key);
  // The same for many, in their order; faster than one by one.
  Result<std::vector<std::optional<EntryMeta>>> findMany(std::span<const StoreKey> keys);
  struct Page {
    std::vector<EntryMeta> entries;
    std::optional<StoreKey> next;  // where to go on; none at the end
  };
  // Live entries in key order, from `from` on.
  Result<Page> list(const StoreKey& from, size_t limit);

  // Those of the keys that are there are held for `ttlMs`, or less where the limits say so
  // (LeaseGrant). Once a submitSettle() that follows has completed, what find() and findMany() then
  // give stays until the lease ends. kResourceExhausted: nothing is held.
  Result<LeaseGrant> lease(const LeaseHolder& holder, std::span<const StoreKey> keys,
                           uint64_t ttlMs);
  // The same for entries that are about to be put: they stay from when they are there.
  Result<LeaseGrant> leaseAhead(const LeaseHolder& holder, std::span<const EntryMeta> coming,
                                uint64_t ttlMs);
  LeaseTable& leases();
  // Completes when all evictions are done that were decided on before.
  void submitSettle(uint64_t cookie, StoreQueue& queue);

  // What entries expire by.
  const StoreClock& clock() const;

  // The entry was used without being read from here, so that eviction knows. Cheap: it is told
  // with others, and some are forgotten when there are very many. Absent keys are ignored.
  void noteUse(const StoreKey& key);

  // Somebody wants an entry's payload: what was found of it, if anything. Tells what more room
  // would give (StoreFigures::capacity) and nothing else.
  void noteDemand(const StoreKey& key, const std::optional<EntryMeta>& found);
  // kOutOfSpace naming the quota when the owner could not have such an entry whatever was evicted.
  Status fitsQuota(OwnerTag owner, uint64_t payloadBytes) const;

  // The longest payload that a put takes, in bytes.
  uint64_t longestPayload() const;

  StoreFigures figures() const;
  const std::filesystem::path& directory() const;

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::unique_ptr<Scrubber> scrubber_;  // uses the store: goes first
};

}  // namespace spolia::store
