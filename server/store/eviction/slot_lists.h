// SlotLists: doubly linked lists over slots, for policies that keep chunks in order; a slot stands
// in one list at most. Owned by one policy.
#pragma once

#include <cstdint>
#include <vector>

#include "server/store/eviction/eviction_policy.h"

namespace spolia::store {

class SlotLists {
 public:
  struct Node {
    uint32_t bytes = 0;  // 0: in no list
    Slot newer = kNoSlot, older = kNoSlot;
    uint8_t list = 0;
    uint8_t uses = 0;  // the owner's
  };

  explicit SlotLists(uint8_t lists) : lists_(lists) {}

  bool has(Slot slot) const { return slot < nodes_.size() && nodes_[slot].bytes != 0; }
  // The slot is in a list.
  Node& at(Slot slot) { return nodes_[slot]; }

  // At the newest end. The slot is in no list.
  void add(uint8_t list, Slot slot, uint64_t bytes);
  // To the newest end of `list`, from whichever it is in.
  void move(uint8_t list, Slot slot);
  void remove(Slot slot);

  // kNoSlot when the list is empty.
  Slot oldest(uint8_t list) const { return lists_[list].oldest; }
  uint64_t bytes(uint8_t list) const { return lists_[list].bytes; }
  size_t stateBytes() const { return nodes_.capacity() * sizeof(Node); }

 private:
  struct List {
    Slot newest = kNoSlot, oldest = kNoSlot;
    uint64_t bytes = 0;
  };

  void link(uint8_t list, Slot slot);
  void unlink(Slot slot);

  std::vector<Node> nodes_;
  std::vector<List> lists_;
};

}  // namespace spolia::store
