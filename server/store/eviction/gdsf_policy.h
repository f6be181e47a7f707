// GDSF (Cherkasova 1998): the chunk with the least inflation + uses x cost / bytes goes, and its
// priority becomes the inflation. Knows no parents.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "server/store/eviction/eviction_policy.h"

namespace spolia::store {

enum class GdsfCost : uint8_t {
  kOne,      // a miss costs the same for every chunk
  kBytes,    // in proportion to its bytes: uses with ageing, sizes do not matter
  kSeconds,  // its recompute seconds
};

class GdsfPolicy final : public EvictionPolicy {
 public:
  GdsfPolicy(uint64_t capacityBytes, GdsfCost cost) : EvictionPolicy(capacityBytes), cost_(cost) {}
  std::string_view name() const override { return "gdsf"; }
  bool contains(Slot slot) const override;
  size_t stateBytes() const override;

 private:
  struct Entry {
    double density = 0;  // cost / bytes
    double priority = 0;
    uint64_t order = 0;  // of the last access: among equals the oldest goes
    uint32_t bytes = 0, uses = 0;
  };
  struct Place {
    double priority;
    uint64_t order;
    Slot slot;
    auto operator<=>(const Place&) const = default;
  };

  void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) override;
  void onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) override;
  void onRemove(Slot slot, uint64_t keyHash, Departure why) override;
  Slot onChooseVictim(uint64_t) override { return queue_.begin()->slot; }
  void onPostpone(Slot slot, uint64_t nowMs) override;
  double cost(const ChunkTraits& chunk) const;
  void place(Slot slot, double priority);

  const GdsfCost cost_;
  double inflation_ = 0;
  uint64_t accesses_ = 0;
  std::vector<Entry> entries_;
  std::set<Place> queue_;
};

}  // namespace spolia::store
