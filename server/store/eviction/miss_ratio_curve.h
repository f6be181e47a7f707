// MissRatioCurve: which share of the accesses, and of their recompute seconds, a cache of any size
// would hit, measured while the store runs ("what would 100 GB more give"). It follows a sample of
// the keys, chosen by hash, and the bytes asked for between two accesses to the same one (SHARDS,
// Waldspurger and others 2015); sizes scale with the sample. The curve is LRU's: the true policy
// does better, and gains less from more room.
//
// Memory: about 120 bytes a followed key; fewer are followed as more exist. Threads: one owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace spolia::store {

struct MissRatioCurveConfig {
  uint32_t maxFollowed = 8192;
  // Caches larger than this are not told apart from it; keys that not even they would hold are
  // forgotten.
  uint64_t reachBytes = uint64_t{1} << 44;
  // Accesses after which what was seen counts half.
  uint64_t halfLife = 1 << 22;
};

class MissRatioCurve {
 public:
  explicit MissRatioCurve(const MissRatioCurveConfig& config);

  // A chunk was asked for, stored or not: a lookup, not a put. `bytes` > 0: what it takes.
  void access(uint64_t keyHash, uint64_t bytes, double recomputeSeconds);

  // What the key takes, once that is known: of what was missed, when it is stored.
  void resize(uint64_t keyHash, uint64_t bytes);

  // Share of accesses that an LRU cache of that size would hit, 0 to 1; 0 before the first access.
  double hitRatio(uint64_t capacityBytes) const { return share(hits_, capacityBytes); }
  // Share of all recompute seconds asked for that it would save.
  double savedShare(uint64_t capacityBytes) const { return share(seconds_, capacityBytes); }

  // Of the keys, the share that is followed.
  double sampleRate() const { return rate_; }
  size_t followed() const { return keys_.size(); }

 private:
  static constexpr int kPerOctave = 16;
  static constexpr int kFirstOctave = 12;
  static constexpr int kBuckets = (50 - kFirstOctave) * kPerOctave;

  // Over reuse distances: `near[b]` is the sum over those that fall into bucket b.
  struct Sums {
    std::array<double, kBuckets> near{};
    double sampled = 0, all = 0;  // the sample's sum, scaled; the exact one
  };
  struct Key {
    uint32_t position;  // in the order of last accesses
    uint64_t bytes;
  };

  static double share(const Sums& sums, uint64_t capacityBytes);
  static void record(Sums& sums, double scaled, int bucket);
  bool sampled(uint64_t keyHash) const;
  uint64_t bytesSince(uint32_t position) const;
  void place(uint64_t keyHash, uint64_t bytes);
  void forget(uint64_t keyHash);
  void forgetOldest();
  void makeRoom();
  void compact();
  void change(uint32_t position, int64_t bytes);
  void halve();

  const MissRatioCurveConfig config_;
  double rate_ = 1;
  uint64_t sampleLimit_ = ~uint64_t{0};
  std::unordered_map<uint64_t, Key> keys_;
  std::vector<uint64_t> keyAt_;    // by position; stale where keys_ says another
  std::vector<int64_t> fenwick_;   // bytes by position
  uint32_t end_ = 0, oldest_ = 0;  // positions: next free; none below is taken
  uint64_t bytes_ = 0;             // of the followed keys
  uint64_t accesses_ = 0;          // since the last halving
  Sums hits_, seconds_;
};

}  // namespace spolia::store
