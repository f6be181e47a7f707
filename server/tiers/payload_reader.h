// PayloadReader: reads ranges of an entry's payload, what the memory tier holds from there and the
// rest from the store, in whole blocks. A block that is being read is not read again: who asks for
// it meanwhile joins. What was asked for again goes into the memory tier.
//
// An answer owns its bytes. From memory they are copied once. From the store they are moved when
// one read brought one range to one reader, else copied once, and once more into the memory tier
// when they are held there.
//
// Owned and used by the tier thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "codec/base/deadlines.h"
#include "codec/chunk_exchange.h"
#include "server/store/store.h"
#include "server/tiers/memory_tier.h"

namespace spolia::tiers {

// What is read from, as the index told: reads of anything newer are not mixed with it.
struct PayloadSource {
  StoreKey key;
  uint64_t version = 0;
  uint64_t bytes = 0;
};

struct PayloadRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

// The ranges, clipped to the payload, one behind the other in `bytes` from `start` on.
struct PayloadRead {
  Status status;          // of the first read that failed
  bool replaced = false;  // some of it is of another version than asked: find the entry again
  AlignedBuffer bytes;
  uint64_t start = 0;
  uint64_t length = 0;
  codec::Tier tier = codec::Tier::kMemory;  // kDisk when any of it was read from there
  bool remembered = false;                  // some of it is from the memory tier
  // From the medium, for this answer; what joined a read has none of it.
  uint64_t bytesRead = 0;

  ByteSpan range() const { return bytes.span().subspan(start, length); }
};

class PayloadReader {
 public:
  using Answer = std::function<void(uint64_t cookie, PayloadRead)>;

  // `store` and `memory` outlive it. `answer` is called once for each read(), from read() itself
  // or from drain(). `clock` is what deadlines are measured by.
  PayloadReader(store::Store& store, MemoryTier& memory, Answer answer,
                Deadlines::Clock clock = std::chrono::steady_clock::now);
  PayloadReader(const PayloadReader&) = delete;
  PayloadReader& operator=(const PayloadReader&) = delete;

  // kAsked: somebody wants these bytes; asked for again they are worth holding. kPassing: they are
  // kept elsewhere.
  enum class Interest : uint8_t { kPassing, kAsked };
  // Ranges ascending, without overlap. What would have to be waited for beyond the deadline is
  // answered with kDeadlineExceeded then.
  void read(const PayloadSource& source, std::vector<PayloadRange> ranges, Interest interest,
            uint64_t cookie, Deadline deadline = kNoDeadline);

  // Reads blocks of the payload that are not held into the memory tier, as many as have room
  // there now. Nobody is told.
  void readAhead(const PayloadSource& source);

  // Readable when drain() has something to do; it has, too, when so much time has passed.
  int eventFd() const { return stored_.eventFd(); }
  std::chrono::nanoseconds left() const { return deadlines_.left(); }
  void drain();
  // No read is under way.
  bool idle() const { return reads_.empty(); }

 private:
  struct Job {
    uint64_t cookie = 0;
    PayloadSource source;
    std::vector<PayloadRange> ranges;
    size_t readsLeft = 0;
    Deadline deadline = kNoDeadline;
    Deadlines::Ticket late = Deadlines::kNoTicket;
    PayloadRead answer;
  };
  // Blocks [begin, end) for a job.
  struct Waiter {
    uint64_t job = 0;
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  // Blocks [begin, end) on their way.
  struct Read {
    StoreKey key;
    uint64_t version = 0;
    uint32_t begin = 0;
    uint32_t end = 0;
    std::vector<bool> wanted;  // by block: asked for again
    std::vector<Waiter> waiters;
    bool ahead = false;
  };

  std::vector<uint32_t> takeHeld(Job& job, const std::vector<uint32_t>& blocks);
  void await(uint64_t number, Job& job, const std::vector<uint32_t>& missing, Interest interest);
  // The read under way that has the block; else null, and `end` is cut to where one begins.
  Read* underWay(const PayloadSource& source, uint32_t block, uint32_t& end);
  Read& start(const PayloadSource& source, uint32_t begin, uint32_t end, Deadline deadline);
  void onStored(store::StoreCompletion completion);
  void remember(const Read& read, const store::StoreCompletion& completion);
  void deliver(const Waiter& waiter, const Read& read, store::StoreCompletion& completion);
  // The read that it joined was given up for another's deadline.
  void readAgain(const Waiter& waiter, Job& job);
  void finish(Job job);

  store::Store& store_;
  MemoryTier& memory_;
  const Answer answer_;
  store::StoreQueue stored_;
  Deadlines deadlines_;  // of jobs
  std::unordered_map<uint64_t, Job> jobs_;
  std::unordered_map<uint64_t, Read> reads_;  // by the store's cookie
  std::unordered_map<StoreKey, std::vector<uint64_t>, DigestHash> readsOf_;
  uint64_t pendingAhead_ = 0;  // bytes
  uint64_t nextNumber_ = 0;
};

}  // namespace spolia::tiers
