#include "server/store/eviction/slot_table.h"

#include <cstring>
#include <utility>

namespace spolia::store {
namespace {

constexpr Slot kMostSlots = (1u << 28) - 1;

}  // namespace

SlotTable::SlotTable() : heads_(size_t{1} << kHomeBits) {
  for (size_t bucket = 0; bucket < heads_.size(); ++bucket) {
    heads_[bucket] = kEnd | static_cast<uint32_t>(bucket);
  }
}

SlotTable::Link SlotTable::at(Slot slot) const {
  uint64_t word;
  std::memcpy(&word, &parts_[slot / kLinksPerPart][slot % kLinksPerPart * kLinkBytes], sizeof word);
  word &= (uint64_t{1} << 8 * kLinkBytes) - 1;
  return {static_cast<uint32_t>(word & ((1u << kNextBits) - 1)),
          static_cast<uint32_t>(word >> kNextBits)};
}

void SlotTable::set(Slot slot, const Link& link) {
  const uint64_t word = uint64_t{link.rest} << kNextBits | link.next;
  std::memcpy(&parts_[slot / kLinksPerPart][slot % kLinksPerPart * kLinkBytes], &word, kLinkBytes);
}

Slot SlotTable::find(Key key) const {
  const uint32_t rest = static_cast<uint32_t>(key >> kHomeBits);
  for (uint32_t slot = heads_[bucketOf(key)]; (slot & kEnd) == 0; slot = at(slot).next) {
    if (at(slot).rest == rest) return slot;
  }
  return kNoSlot;
}

Slot SlotTable::takeFree() {
  if (free_ != kFreeEnd) return std::exchange(free_, at(free_).next);
  if (used_ == kMostSlots) return kNoSlot;
  if (used_ == parts_.size() * kLinksPerPart) {
    parts_.push_back(std::make_unique_for_overwrite<std::byte[]>(kPartBytes));
  }
  return used_++;
}

Slot SlotTable::insert(Key key) {
  if (const Slot known = find(key); known != kNoSlot) return known;
  if (size_ >= heads_.size() * kFullBucket) grow();
  const Slot slot = takeFree();
  if (slot == kNoSlot) return kNoSlot;
  uint32_t& head = heads_[bucketOf(key)];
  set(slot, {std::exchange(head, slot), static_cast<uint32_t>(key >> kHomeBits)});
  ++size_;
  return slot;
}

// The end of a bucket says which one it is, and that has the bits that are not kept.
SlotTable::Key SlotTable::keyOf(Slot slot) const {
  uint32_t end = slot;
  while ((end & kEnd) == 0) end = at(end).next;
  return uint64_t{at(slot).rest} << kHomeBits | (end & ((1u << kHomeBits) - 1));
}

void SlotTable::erase(Slot slot) {
  const Link gone = at(slot);
  uint32_t& head = heads_[bucketOf(keyOf(slot))];
  if (head == slot) {
    head = gone.next;
  } else {
    Slot before = head;
    while (at(before).next != slot) before = at(before).next;
    set(before, {gone.next, at(before).rest});
  }
  set(slot, {std::exchange(free_, slot), 0});
  --size_;
}

// Each bucket becomes two, by one more bit of the key.
void SlotTable::grow() {
  const size_t before = heads_.size();
  std::vector<uint32_t> old = std::exchange(heads_, std::vector<uint32_t>(before * 2));
  for (size_t bucket = 0; bucket < heads_.size(); ++bucket) {
    heads_[bucket] = kEnd | static_cast<uint32_t>(bucket);
  }
  for (size_t bucket = 0; bucket < before; ++bucket) {
    for (uint32_t slot = old[bucket]; (slot & kEnd) == 0;) {
      const Link link = at(slot);
      const Key key = uint64_t{link.rest} << kHomeBits | (bucket & ((1u << kHomeBits) - 1));
      set(slot, {std::exchange(heads_[bucketOf(key)], slot), link.rest});
      slot = link.next;
    }
  }
}

size_t SlotTable::stateBytes() const {
  return heads_.capacity() * sizeof(uint32_t) + parts_.size() * kPartBytes;
}

}  // namespace spolia::store
