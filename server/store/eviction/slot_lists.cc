#include "server/store/eviction/slot_lists.h"

namespace spolia::store {

void SlotLists::add(uint8_t list, Slot slot, uint64_t bytes) {
  if (slot >= nodes_.size()) nodes_.resize(size_t{slot} + 1);
  nodes_[slot] = {.bytes = static_cast<uint32_t>(bytes)};
  link(list, slot);
}

void SlotLists::move(uint8_t list, Slot slot) {
  unlink(slot);
  link(list, slot);
}

void SlotLists::remove(Slot slot) {
  unlink(slot);
  nodes_[slot].bytes = 0;
}

void SlotLists::link(uint8_t list, Slot slot) {
  List& into = lists_[list];
  Node& node = nodes_[slot];
  node.list = list;
  node.newer = kNoSlot;
  node.older = into.newest;
  (into.newest == kNoSlot ? into.oldest : nodes_[into.newest].newer) = slot;
  into.newest = slot;
  into.bytes += node.bytes;
}

void SlotLists::unlink(Slot slot) {
  const Node& node = nodes_[slot];
  List& from = lists_[node.list];
  (node.newer == kNoSlot ? from.newest : nodes_[node.newer].older) = node.older;
  (node.older == kNoSlot ? from.oldest : nodes_[node.older].newer) = node.newer;
  from.bytes -= node.bytes;
}

}  // namespace spolia::store
