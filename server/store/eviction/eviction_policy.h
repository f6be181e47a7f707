// EvictionPolicy: which of the stored chunks has to go when a tier is full, and whether a new one
// is worth a place at all. Bookkeeping only: no I/O, no clock, no keys. The same code runs in the
// store and in the simulator of bench/policy.
//
// A chunk that is stored is named by its Slot, a small integer handed out by the index (dense,
// reused after removal), so that a policy can keep its state in arrays. Keys are seen only as 64 of
// their bits, which are uniform because store keys are HMACs.
//
// For each chunk to be stored the owner calls, in this order: admit; while there is no room,
// chooseVictim and remove (makeRoom below does both); insert. For each hit: touch. What the owner
// knows anyway (key hash, bytes) it tells again at removal, so that no policy has to keep it.
//
// Threads: one thread owns a policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/store/store_types.h"

namespace spolia::store {

using Slot = uint32_t;
inline constexpr Slot kNoSlot = 0xffffffff;

// What a policy is told of a chunk.
struct ChunkTraits {
  uint64_t keyHash = 0;         // 64 bits of the store key
  uint64_t storedBytes = 0;     // what it takes from the cap, overhead included; at most 4 GiB - 1
  double recomputeSeconds = 0;  // what a hit saves
  bool chained = false;         // a prefix chunk: of use only with all those before it
  uint32_t depth = 0;           // chained: how many stand before it
  // Chained, depth > 0: the one before. It need not be stored: its slot is then kept for it, see
  // EvictionPolicy::needs. kNoSlot: it is not stored, and what comes later is not told apart.
  Slot parent = kNoSlot;
  uint8_t kind = 0;        // EntryMeta::kind
  uint64_t expiresAt = 0;  // store clock seconds; 0: never
};

enum class Departure : uint8_t {
  kEvicted,  // the policy's victim
  kRemoved,  // by a user, by expiry or by damage: no judgement about its worth
};

class EvictionPolicy {
 public:
  explicit EvictionPolicy(uint64_t capacityBytes) : capacity_(capacityBytes) {}
  virtual ~EvictionPolicy() = default;
  EvictionPolicy(const EvictionPolicy&) = delete;
  EvictionPolicy& operator=(const EvictionPolicy&) = delete;

  virtual std::string_view name() const = 0;

  // Whether the chunk is worth storing now. Called once before its insert, and told to the policy
  // even if the answer is no. False for what is larger than the capacity. `nowMs`: store clock in
  // milliseconds; never goes back.
  bool admit(const ChunkTraits& chunk, uint64_t nowMs);

  // The chunk is stored at `slot` from now on. False, and nothing changed: `slot` is taken or
  // kNoSlot, the chunk has no bytes, or there is no room for it. A slot that is needed and holds
  // nothing is given only to the chunk that it is kept for.
  bool insert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs);

  // A hit. `keyHash` as inserted. Unknown slots are ignored. Touch the ancestors of a chunk, too.
  void touch(Slot slot, uint64_t keyHash, uint64_t nowMs);

  // No longer stored. `keyHash` and `bytes` as inserted. Unknown slots are ignored.
  void remove(Slot slot, uint64_t keyHash, uint64_t bytes, Departure why);

  // The chunk to give up first; it stays until removed. kNoSlot: nothing is stored.
  Slot chooseVictim(uint64_t nowMs);

  // The victim cannot go now (somebody reads it, a lease holds it): name others first. An owner
  // bounds how often it asks again.
  void postpone(Slot slot, uint64_t nowMs);

  // Whether the chunk is one of those whose turn would come next: not worth moving.
  virtual bool nextToGo(Slot, uint64_t) const { return false; }

  virtual bool contains(Slot slot) const = 0;
  // The slot stands for its chunk even if that is not stored, since chunks that hang on it are. It
  // ceases to when the last of them is removed, of which parentOf told the parent before.
  virtual bool needs(Slot slot) const { return contains(slot); }
  virtual Slot parentOf(Slot) const { return kNoSlot; }
  // Whether it makes anything of ChunkTraits::parent.
  virtual bool knowsParents() const { return false; }
  // Whether it matters in which order chunks are inserted at the same time.
  virtual bool ordered() const { return true; }

  uint64_t capacity() const { return capacity_; }
  // Of all chunks stored, never more than the capacity.
  uint64_t bytes() const { return bytes_; }
  size_t count() const { return count_; }
  // Memory held, in bytes.
  virtual size_t stateBytes() const = 0;

 protected:
  bool full(uint64_t moreBytes) const { return bytes_ + moreBytes > capacity_; }

 private:
  virtual bool onAdmit(const ChunkTraits&, uint64_t) { return true; }
  // Slots given to these are stored, to onInsert: not yet.
  virtual void onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) = 0;
  virtual void onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) = 0;
  virtual void onRemove(Slot slot, uint64_t keyHash, Departure why) = 0;
  virtual Slot onChooseVictim(uint64_t nowMs) = 0;
  virtual void onPostpone(Slot slot, uint64_t nowMs) = 0;

  const uint64_t capacity_;
  uint64_t bytes_ = 0;
  size_t count_ = 0;
};

// What the owner of a policy knows of a chunk that goes.
struct Evicted {
  uint64_t keyHash = 0;
  uint64_t bytes = 0;
};

// Removes victims until `bytes` fit, calling `evict(slot)` for each, which drops the chunk and
// gives back what it was. False: they can never fit, nothing was removed.
template <typename Evict>
bool makeRoom(EvictionPolicy& policy, uint64_t bytes, uint64_t nowMs, Evict&& evict) {
  if (bytes > policy.capacity()) return false;
  while (policy.bytes() + bytes > policy.capacity()) {
    const Slot victim = policy.chooseVictim(nowMs);
    const Evicted gone = evict(victim);
    policy.remove(victim, gone.keyHash, gone.bytes, Departure::kEvicted);
  }
  return true;
}

}  // namespace spolia::store
