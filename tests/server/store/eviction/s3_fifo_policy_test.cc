#include "server/store/eviction/s3_fifo_policy.h"

#include <algorithm>
#include <deque>
#include <random>

#include "tests/server/store/eviction/driven_cache.h"

namespace spolia::store {
namespace {

// The paper's algorithm 1 over plain queues, in bytes.
class NaiveS3Fifo {
 public:
  NaiveS3Fifo(uint64_t capacity, uint64_t small, int promote)
      : capacity_(capacity), smallTarget_(small), promote_(promote) {}

  bool ask(uint64_t key, uint64_t bytes) {
    for (auto* queue : {&small_, &main_}) {
      for (Entry& entry : *queue) {
        if (entry.key != key) continue;
        entry.uses = std::min(entry.uses + 1, 3);
        return true;
      }
    }
    while (size(small_) + size(main_) + bytes > capacity_) evict();
    const bool ghost =
        std::erase_if(ghosts_, [&](const Entry& entry) { return entry.key == key; }) > 0;
    (ghost ? main_ : small_).push_back({key, bytes, 0});
    return false;
  }

  std::vector<uint64_t> evicted;

 private:
  struct Entry {
    uint64_t key, bytes;
    int uses;
  };
  using Queue = std::deque<Entry>;  // oldest first

  static uint64_t size(const Queue& queue) {
    uint64_t sum = 0;
    for (const Entry& entry : queue) sum += entry.bytes;
    return sum;
  }

  void evict() {
    if (main_.empty() || (!small_.empty() && size(small_) >= smallTarget_)) {
      evictSmall();
    } else {
      evictMain();
    }
  }

  void evictSmall() {
    const Entry entry = small_.front();
    small_.pop_front();
    if (entry.uses >= promote_) {
      main_.push_back({entry.key, entry.bytes, 0});
      return;
    }
    evicted.push_back(entry.key);
    ghosts_.push_back(entry);
    while (size(ghosts_) > capacity_ - smallTarget_) ghosts_.pop_front();
  }

  void evictMain() {
    const Entry entry = main_.front();
    main_.pop_front();
    if (entry.uses > 0) {
      main_.push_back({entry.key, entry.bytes, entry.uses - 1});
    } else {
      evicted.push_back(entry.key);
    }
  }

  const uint64_t capacity_, smallTarget_;
  const int promote_;
  Queue small_, main_, ghosts_;
};

class S3FifoPolicyTest : public ::testing::TestWithParam<S3FifoParams> {};

TEST_P(S3FifoPolicyTest, SameVictimsAsPlainQueues) {
  const uint64_t seed = 13;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  S3FifoPolicy policy(400, GetParam());
  DrivenCache cache(policy);
  NaiveS3Fifo naive(400, static_cast<uint64_t>(400 * GetParam().smallShare),
                    GetParam().promoteUses);
  uint64_t scan = 1000;
  for (int i = 0; i < 20000; ++i) {
    const bool scanning = i / 300 % 4 == 3;
    const uint64_t key = scanning ? ++scan : std::min(random() % 200, random() % 200);
    const uint64_t bytes = 1 + hashOf(key) % 9;
    ASSERT_EQ(cache.ask(key, bytes), naive.ask(key, bytes)) << "access " << i;
  }
  EXPECT_EQ(cache.evicted, naive.evicted);
}

INSTANTIATE_TEST_SUITE_P(Params, S3FifoPolicyTest,
                         ::testing::Values(S3FifoParams{}, S3FifoParams{0.25, 1}));

TEST(S3FifoPolicyTest, AScanLeavesTheMainQueue) {
  S3FifoPolicy policy(100, {});
  DrivenCache cache(policy);
  for (int round = 0; round < 4; ++round) {
    for (uint64_t key = 0; key < 80; ++key) cache.ask(key, 1);
  }
  for (uint64_t key = 1000; key < 1100; ++key) cache.ask(key, 1);
  for (uint64_t key = 0; key < 80; ++key) EXPECT_TRUE(cache.has(key)) << key;
}

}  // namespace
}  // namespace spolia::store
