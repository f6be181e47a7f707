// ValuePolicy: the chunk goes whose bytes save the fewest recompute seconds: seconds per byte x the
// rate at which chunks like it, as long after their last use, are asked for (ReuseModel). Ageing,
// scan resistance and admission follow from that: a new chunk is refused when it would be the next
// victim. POLICY.md has the reasoning and the measurements.
//
// Only leaves are victims: a chunk stays at least as long as any chunk that names it as parent. (A
// chunk that had 65,535 children at once counts as a parent for good.) What hangs on a chunk that
// is not there, because a user removed it or it comes only later, is worth nothing until it is.
//
// State: 16 bytes a slot, three bytes a chunk for ghosts, and a few MiB that do not grow.
// Victims are the least of a pool that a few random leaves join at each choice, so that no order
// over all chunks need be kept.
#pragma once

#include <memory>
#include <vector>

#include "server/store/eviction/eviction_policy.h"
#include "server/store/eviction/ghost_table.h"
#include "server/store/eviction/reuse_model.h"

namespace spolia::store {

struct ValueParams {
  ReuseModelParams reuse;
  uint32_t poolSize = 32;     // candidates kept from one choice to the next
  uint32_t freshLeaves = 8;   // that join them at each choice
  uint32_t maxProbes = 256;   // slots looked at for those
  double shortestHold = 0.2;  // of the age of victims: time that every holding costs at least
  double ghostShare = 1;      // ghosts a chunk stored
  bool admission = true;
  uint64_t seed = 1;  // of the random slots
};

class ValuePolicy final : public EvictionPolicy {
 public:
  ValuePolicy(uint64_t capacityBytes, const ValueParams& params);
  std::string_view name() const override { return "value"; }
  size_t stateBytes() const override;
  bool contains(Slot slot) const override { return slot < slots_ && at(slot).stored; }
  bool needs(Slot slot) const override;
  Slot parentOf(Slot slot) const override;
  bool knowsParents() const override { return true; }
  bool ordered() const override { return false; }
  bool nextToGo(Slot slot, uint64_t nowMs) const override;

  // Expected recompute seconds saved per byte and second of keeping the chunk, as a mean over the
  // chain it ends; 0 for unknown slots and what has expired. For the choice which records of a
  // segment are worth writing again.
  double worth(Slot slot, uint64_t nowMs) const;

 private:
  struct Record {
    uint32_t usedAt = 0;
    uint32_t parent : 28 = kNoParent;  // a slot
    uint32_t seen : 4 = 0;             // accesses before the last one, as far as known
    uint32_t children : 16 = 0;        // also while the chunk itself is not stored
    uint32_t origin : 4 = 0;
    uint32_t meanGap : 6 = 0;  // between accesses: thirds of an octave; 0: one access only
    uint32_t depth : 3 = 0;
    uint32_t stored : 1 = 0;
    uint32_t tail : 1 = 0;  // shorter than its parent
    uint32_t spared : 1 = 0;
    uint32_t density : 13 = 0;  // recompute seconds per byte, mean over the chain so far
    uint32_t expiry : 12 = kNever;
    uint32_t size : 7 = 0;  // eighths of an octave of bytes
  };
  static_assert(sizeof(Record) == 16);

  static constexpr uint32_t kNoParent = (1u << 28) - 1;
  static constexpr uint16_t kNever = (1u << 12) - 1;
  static constexpr uint32_t kMostChildren = (1u << 16) - 1;
  static constexpr size_t kRecordsPerPart = 1 << 14;

  bool onAdmit(const ChunkTraits& chunk, uint64_t nowMs) override;
  void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) override;
  void onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) override;
  void onRemove(Slot slot, uint64_t keyHash, Departure why) override;
  Slot onChooseVictim(uint64_t nowMs) override;
  void onPostpone(Slot slot, uint64_t nowMs) override;

  Record& at(Slot slot) { return parts_[slot / kRecordsPerPart][slot % kRecordsPerPart]; }
  const Record& at(Slot slot) const {
    return parts_[slot / kRecordsPerPart][slot % kRecordsPerPart];
  }
  void growTo(Slot slot);
  void hangOn(Slot parent);
  void letGo(Slot parent, uint32_t depth, Departure why);
  bool severed(const Record& record) const;
  bool worthAPlace(const ChunkTraits& chunk, const Record& record, uint64_t nowMs);
  Record recordOf(const ChunkTraits& chunk, uint64_t nowMs) const;
  ReuseClass classOf(const Record& record) const;
  static void asked(Record& record, uint32_t gap);
  uint16_t expiryOf(uint64_t expiresAt, uint64_t nowMs) const;
  double valueOf(const Record& record, uint64_t nowMs) const;
  void remember(uint64_t keyHash, const Record& record);
  bool isCandidate(Slot slot) const;
  void addCandidate(Slot slot);
  void refillPool();
  Slot lastResort();
  uint64_t random();

  struct Candidate {
    Slot slot;
    bool severed;  // of no use without what it hangs on
    double value;
  };

  const ValueParams params_;
  std::vector<std::unique_ptr<Record[]>> parts_;
  Slot slots_ = 0;  // one beyond the highest slot ever used
  GhostTable ghosts_;
  ReuseModel reuse_;
  std::vector<Candidate> pool_;
  Slot growing_ = kNoSlot;  // parent of what was admitted last: not a victim now
  double victimAge_ = 0;    // ticks since last use, mean over recent victims
  double victimValue_ = 0;  // likewise what they were worth
  uint64_t random_;
  bool started_ = false;
  uint64_t startMs_ = 0;
};

}  // namespace spolia::store
