// ReuseModel: what a chunk that was last asked for so long ago may still be expected to save,
// learned while the cache runs.
//
// Chunks are told apart by a class (where they come from, how they were used). For each class the
// model keeps, by age since the last access, how many were asked for again at that age of how many
// that reached it: the hazard. A sample of the keys is followed whether or not they are stored, so
// what a policy evicts or refuses does not bend what is learned.
//
// rate() is the best ratio, over all times one might go on holding the chunk, of the probability
// that it is asked for within that time to the time it is expected to be held: Gittins' index. A
// byte of cache is used best by the chunks with the highest rate x saving per byte.
//
// Owned by one policy. Memory is bounded: about 100 bytes a followed key and 2 MiB of tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

namespace spolia::store {

// Where a class has little data of its own, it takes what is known of its use and detail whatever
// the origin, of its use alone, of all chunks.
struct ReuseClass {
  uint8_t use = 0;     // below kReuseUses
  uint8_t detail = 0;  // below kReuseDetails
  uint8_t origin = 0;  // below kReuseOrigins
};

inline constexpr int kReuseUses = 12;
inline constexpr int kReuseDetails = 16;
inline constexpr int kReuseOrigins = 10;

struct ReuseModelParams {
  double priorWeight = 100;     // observations that the wider class counts for
  double smoothing = 0.5;       // of ages: what a neighbouring half octave counts; 0: none
  uint32_t halfLife = 1 << 16;  // followed accesses after which an observation counts half
  uint32_t maxFollowed = 1 << 16;
};

// Times are ticks of the owner's choice; 32 bits, the owner keeps them from going back.
class ReuseModel {
 public:
  explicit ReuseModel(const ReuseModelParams& params);

  // The key was asked for, and belongs to this class from now on.
  void access(uint64_t keyHash, ReuseClass klass, uint32_t now);
  // Expected saves per tick; > 0.
  double rate(ReuseClass klass, uint32_t age) const;
  // `follow`: keys are followed for at least this long; so many fewer are. `shortestHold` is added
  // to every time a chunk is held, so that a chance reuse at once does not look like a high rate.
  void setTimes(uint32_t follow, double shortestHold) {
    followTicks_ = follow;
    shortestHold_ = shortestHold;
  }
  size_t stateBytes() const;

 private:
  static constexpr int kBuckets = 64;  // of age: two an octave

  struct Followed {
    uint64_t keyHash;
    uint32_t since;  // the last access
    uint32_t epoch;  // rebuilds before it
    ReuseClass klass;
  };
  // By age: how many were asked for again; how many are not followed any more, or are still open.
  struct Counts {
    std::array<float, kBuckets> reused{}, ended{};
    bool any = false;

    void add(const Counts& other);
  };
  using Hazards = std::array<double, kBuckets>;
  using Rates = std::array<float, kBuckets>;

  static int bucketOf(uint32_t age);
  bool sampled(uint64_t keyHash) const;
  float weight(const Followed& followed) const;
  void drop(std::list<Followed>::iterator followed);
  void makeRoom(uint32_t now);
  void rebuild(uint32_t now);
  void fillRates(const std::vector<Counts>& counts);
  double smoothed(const Hazards& values, int bucket) const;
  Hazards hazards(const Counts& counts, const Hazards& prior, double weight) const;
  Rates ratesOf(const Hazards& hazard) const;

  const ReuseModelParams params_;
  const double decay_;  // of all counts, at each rebuild
  uint32_t followTicks_ = 0;
  double shortestHold_ = 1;
  uint64_t sampleLimit_ = ~uint64_t{0};
  uint32_t epoch_ = 0, sinceRebuild_ = 0;
  std::list<Followed> followed_;  // the one asked for last in front
  std::unordered_map<uint64_t, std::list<Followed>::iterator> where_;
  std::vector<float> decays_;  // what an observation weighs, by rebuilds since
  std::vector<Counts> counts_;
  std::vector<Rates> rates_;
};

}  // namespace spolia::store
