// SimDisk and SimRing: a disk in memory that reorders, fails, tears and forgets as a seed says.
//
// What was written but not synced is visible to reads and may, at a crash, survive whole, in part
// (512-byte sectors), or not at all, each write by itself. A sync covers what was written when it
// was submitted, and nothing else for sure. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "codec/base/deadlines.h"
#include "server/store/io/ring.h"

namespace spolia::test {

// Chances in 0..1 per operation.
struct SimFaults {
  double readError = 0;      // EIO, this attempt only
  double writeError = 0;     // EIO; the sectors hold old or new data
  double syncError = 0;      // EIO; what was unsynced in the file stays in doubt for ever
  double noSpace = 0;        // ENOSPC: a file is not created, a write changes nothing
  double misdirected = 0;    // a write lands somewhere else in its file
  double flippedBit = 0;     // a read's data has one bit wrong
  double shortTransfer = 0;  // a read or write moves only some of its bytes, to be continued
  double slowRead = 0;       // a read takes slowReadTime
  std::chrono::nanoseconds slowReadTime = std::chrono::milliseconds(500);
};

class SimDisk {
 public:
  explicit SimDisk(uint64_t seed, SimFaults faults = {}) : random_(seed), faults_(faults) {}

  void setFaults(const SimFaults& faults) { faults_ = faults; }
  // From then on every operation fails, as if the power were gone, until crash(). Counts writes,
  // syncs and creations.
  void failAfter(uint64_t operations) { operationsLeft_ = operations; }
  bool dead() const { return operationsLeft_ && *operationsLeft_ == 0; }
  enum class Failing { kWrite, kSpace, kSync };
  // The n-th write or sync from now on (0: the next) fails, once: a write with EIO or ENOSPC.
  void failNth(Failing what, uint64_t n) { planned_ = {what, n}; }
  // Syncs asked for of a file after it was told that one had failed, and before the next crash.
  // There should be none.
  uint64_t syncsAfterFailure() const { return syncsAfterFailure_; }
  uint64_t operations() const { return operations_; }
  // Power loss: decides what of the unsynced writes survives, and goes on from there.
  void crash();
  // Damage on the medium: overwrites a sector of what is durable with noise. False when there is no
  // file of that name or the offset lies behind its end.
  bool damage(const std::string& file, uint64_t offset);
  // Likewise: one bit is another, or two pieces of a file have changed places. Both must be there.
  void flipBit(const std::string& file, uint64_t offset, int bit);
  void swap(const std::string& file, uint64_t a, uint64_t b, size_t bytes);
  // A file that is there already.
  void place(const std::string& name, ByteSpan bytes);
  // The names and durable contents of all files.
  std::map<std::string, Bytes> contents() const;
  // Simulated: goes on a little with each look at the ring, and to where something is ready when a
  // ring waits.
  Deadline now() const { return Deadline(now_); }
  // Of all operations and their outcomes so far: equal for equal seeds.
  uint64_t trace() const { return trace_; }

 private:
  friend class SimRing;
  struct Write {
    uint64_t number;  // of the file's writes
    uint64_t offset;
    Bytes data;
  };
  struct File {
    std::string name;
    Bytes durable;
    Bytes visible;
    std::vector<Write> unsynced;
    uint64_t writes = 0;
    bool syncFailed = false;  // and the caller was told
  };
  struct Planned {
    Failing what;
    uint64_t left;
  };

  bool chance(double p) { return p > 0 && std::uniform_real_distribution<>(0, 1)(random_) < p; }
  // Whether a failure of this kind is planned for now.
  bool planned(Failing what);
  // False when the power is gone.
  bool alive();
  int write(File& file, uint64_t offset, ByteSpan data);
  int read(File& file, uint64_t offset, MutableByteSpan out);
  void syncAsked(const File& file) { syncsAfterFailure_ += file.syncFailed; }
  // Of the file's writes before the `upTo`-th.
  int sync(File& file, uint64_t upTo);
  static void apply(File& file, uint64_t offset, ByteSpan data);
  void settle(File& file, const Write& write);
  void note(uint64_t kind, uint64_t offset, uint64_t length, int error);

  std::mt19937_64 random_;
  SimFaults faults_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::optional<uint64_t> operationsLeft_;
  std::optional<Planned> planned_;
  uint64_t syncsAfterFailure_ = 0;
  uint64_t operations_ = 0;
  uint64_t trace_ = 0;
  std::chrono::nanoseconds now_{0};
};

// A ring over a disk that outlives it. Completions come in an order the seed decides.
class SimRing final : public store::Ring {
 public:
  explicit SimRing(SimDisk& disk) : disk_(disk) {}

  std::string_view name() const override { return "simulated"; }
  void submit(const store::RingRequest& request) override;
  // Some reads are given up at once, others not at all.
  void cancel(uint64_t tag) override;
  // Completes at least one request where any is ready, sometimes only with the next call; kBlock
  // without one is a defect of the caller unless it was woken or waits for a time.
  void wait(Wait mode, std::chrono::nanoseconds atMost,
            std::vector<store::RingCompletion>& out) override;
  void wake() override { woken_ = true; }

  Result<std::vector<std::string>> list() override;
  Result<store::FileHandle> open(const std::string& name) override;
  Result<uint64_t> size(store::FileHandle file) override;
  Result<store::FileHandle> create(const std::string& name, uint64_t bytes,
                                   ByteSpan first) override;
  Status remove(store::FileHandle file) override;
  Status readNow(store::FileHandle file, uint64_t offset, MutableByteSpan out) override;
  Status writeNow(store::FileHandle file, uint64_t offset, ByteSpan data) override;
  Status syncNow(store::FileHandle file) override;

 private:
  SimDisk::File& at(store::FileHandle file) { return *open_[static_cast<size_t>(file.value)]; }
  struct Queued {
    store::RingRequest request;
    uint64_t writesBefore;  // of its file
    std::chrono::nanoseconds readyAt;
    bool cancelled = false;
  };
  // Places in the queue.
  std::vector<size_t> ready() const;
  void sleep(std::chrono::nanoseconds atMost);
  int perform(const Queued& queued);
  int transfer(const store::RingRequest& request);

  SimDisk& disk_;
  std::vector<std::shared_ptr<SimDisk::File>> open_;
  std::vector<Queued> queue_;
  std::optional<Queued> failedSync_;  // told by itself, so that all that is asked later knows of it
  bool woken_ = false;
};

}  // namespace spolia::test
