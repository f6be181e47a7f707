// GhostList: chunks that were evicted, oldest first, remembered by 64 bits of their key and by the
// bytes they had. Owned by one policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

namespace spolia::store {

class GhostList {
 public:
  bool has(uint64_t keyHash) const { return where_.contains(keyHash); }
  // As the newest; one that is known already becomes the newest.
  void add(uint64_t keyHash, uint64_t bytes);
  // Unknown ones are ignored.
  void remove(uint64_t keyHash);
  // Forgets the oldest until at most `limit` bytes are remembered.
  void trim(uint64_t limit);
  uint64_t bytes() const { return bytes_; }
  size_t stateBytes() const { return where_.size() * kBytesPerGhost; }

 private:
  struct Ghost {
    uint64_t keyHash, bytes;
  };
  // A list node and a map node with their links and the allocator's header.
  static constexpr size_t kBytesPerGhost = 96;

  std::list<Ghost> ghosts_;  // newest first
  std::unordered_map<uint64_t, std::list<Ghost>::iterator> where_;
  uint64_t bytes_ = 0;
};

}  // namespace spolia::store
