// ExtentWriter: stores what is longer than a record. The extents go first, each durable, then the
// entry's own record, with which the value is there, whole; until then what is written is held as
// by a lease. A crash in between leaves extents without an entry, which the next opening removes.
// Owned and used by the tier thread alone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <unordered_map>
#include <vector>

#include "server/store/store.h"
#include "server/tiers/entry_attributes.h"
#include "server/tiers/extents.h"

namespace spolia::tiers {

class ExtentWriter {
 public:
  using Answer = std::function<void(uint64_t cookie, Status)>;

  // `store` outlives it. `answer` is called once for each write(), from write() itself or from
  // drain().
  ExtentWriter(store::Store& store, Answer answer);
  ExtentWriter(const ExtentWriter&) = delete;
  ExtentWriter& operator=(const ExtentWriter&) = delete;

  // How so many bytes are to be kept; none: they fit a record.
  std::optional<Extents> extentsFor(uint64_t bytes);
  // Stores the value in place of what is there. `attributes` are the entry's and have extents; the
  // put's own are not used. kOutOfSpace when it is too long for the store, otherwise as a put.
  // Where it fails nothing is left of it, and what was there before stays.
  void write(store::PutRequest put, EntryAttributes attributes, uint64_t cookie);
  // Removes the extents behind the first, as far as they are there. Nobody is told: what stays is
  // of no use to anyone, and removed by the next opening.
  void discard(const StoreKey& entry, const Extents& extents);
  void discard(const std::vector<StoreKey>& extents);

  int eventFd() const { return stored_.eventFd(); }
  void drain();
  bool idle() const { return jobs_.empty() && removing_ == 0; }

 private:
  struct Job {
    uint64_t cookie = 0;
    StoreKey entry;
    store::PutRequest put;
    EntryAttributes attributes;
    uint32_t next = 1;  // extent to write
    uint32_t underWay = 0;
    bool last = false;  // the entry's own record is under way
    store::LeaseId lease;
    Status failure;
  };

  bool begin(uint64_t number, Job& job);
  void beginWaiting();
  void goOn(uint64_t number, Job& job);
  store::EntryMeta metaOf(const Job& job, uint32_t extent) const;
  void onStored(const store::StoreCompletion& completion);
  void finish(uint64_t number);

  store::Store& store_;
  const Answer answer_;
  store::StoreQueue stored_;
  std::unordered_map<uint64_t, Job> jobs_;
  std::deque<uint64_t> waiting_;  // for what others hold
  uint64_t begun_ = 0;
  uint64_t removing_ = 0;
  uint64_t nextNumber_ = 0;
  std::mt19937_64 nonces_{std::random_device{}()};
};

}  // namespace spolia::tiers
