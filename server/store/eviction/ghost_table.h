// GhostTable: what is known of chunks that are not stored: how often they were asked for, at which
// mean interval, and when last. A fixed number of places, each found by key; the one whose last
// access is longest ago gives way. One unknown key in five hundred is taken for a known one.
// Owned by one policy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace spolia::store {

// Times in ticks.
struct Ghost {
  uint32_t usedAt = 0;  // found again: when about that was
  uint8_t seen = 0;     // accesses before the last, 0 to 15; found again: 0-4, 6, 10 or 15
  uint8_t meanGap = 0;  // as ValuePolicy writes it, six bits
};

class GhostTable {
 public:
  // Four fifths of `ghosts` places at least, all of them at most, of three bytes each. It grows in
  // steps, keeping most of what it knows, and never shrinks. At least four.
  void reserve(size_t ghosts);
  void put(uint64_t keyHash, const Ghost& ghost);  // at least one place was reserved
  std::optional<Ghost> find(uint64_t keyHash) const;
  size_t places() const { return places_.size(); }
  size_t stateBytes() const { return places_.capacity() * sizeof(Packed); }

 private:
  static constexpr size_t kWays = 4;
  static constexpr uint32_t kEras = 16;

  // In three bytes.
  struct Place {
    uint32_t tag = 0;      // 11 bits; 0: free
    uint32_t uses = 0;     // 3 bits: a step of `seen`
    uint32_t meanGap = 0;  // 6 bits
    uint32_t era = 0;      // 4 bits
  };
  using Packed = std::array<uint8_t, 3>;

  static Packed pack(const Place& place);
  static Place unpack(const Packed& packed);

  // The first of the kWays places of a key.
  size_t bucketOf(uint64_t keyHash) const;

  void advance(uint32_t usedAt);

  std::vector<Packed> places_;
  // Instead of a time, a place has the number of the era in which it was filled; a quarter of the
  // places are filled in each.
  std::array<uint32_t, kEras> eraStart_{};
  uint32_t era_ = 0;
  size_t filled_ = 0;  // in this era
};

}  // namespace spolia::store
