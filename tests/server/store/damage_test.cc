// Damage of the medium, many times over: bits that flip, records that stand in each other's place,
// a log whose end is cut off or zero at any sector. Nothing of it is ever served.
//
// SPOLIA_DAMAGE_TRIALS=n: so many of each.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "server/store/segments/segment_format.h"
#include "tests/support/asked_number.h"
#include "tests/support/cranked_store.h"
#include "tests/support/store_simulation.h"

namespace spolia::store {
namespace {

constexpr uint64_t kValueBytes = 8000;  // two blocks behind a block of header

uint64_t trials(uint64_t otherwise) {
  return test::askedNumber("SPOLIA_DAMAGE_TRIALS", otherwise);
}

class Damage : public ::testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }

  void open() { store_.open(); }
  static Bytes valueOf(uint64_t key, uint64_t version) {
    Bytes value(kValueBytes, static_cast<std::byte>(key * 31 + version));
    std::memcpy(value.data(), &key, sizeof key);
    std::memcpy(value.data() + 8, &version, sizeof version);
    return value;
  }
  void put(uint64_t key) { ASSERT_TRUE(tryPut(key).ok()); }
  Status tryPut(uint64_t key) {
    StoreOp op;
    op.kind = StoreOp::Kind::kPut;
    op.put.meta.key = test::simulationKey(key);
    op.put.policy = PutPolicy::kReplace;
    op.put.payload = AlignedBuffer::copyOf(valueOf(key, ++versions_[key]));
    return run(std::move(op)).status;
  }
  StoreCompletion get(uint64_t key) {
    StoreOp op;
    op.key = test::simulationKey(key);
    return run(std::move(op));
  }
  bool holds(uint64_t key) {
    const StoreCompletion got = get(key);
    return got.status.ok() && std::ranges::equal(got.range(), valueOf(key, versions_[key]));
  }
  StoreCompletion run(StoreOp op) { return store_.run(std::move(op)); }
  RecordAddress addressOf(uint64_t key) {
    return (*index_.find(test::simulationKey(key)))->address;
  }
  static std::string fileOf(const RecordAddress& address) {
    return segmentFileName(address.segment);
  }
  void expectFound(uint64_t key) {
    EXPECT_EQ(get(key).status.code(), ErrorCode::kCorrupt);
    EXPECT_EQ(get(key).status.code(), ErrorCode::kNotFound) << "a miss from then on";
  }

  std::mt19937_64 random_{23};
  test::CrankedStore store_{7, 1 << 20, 6};
  test::SimDisk& disk_ = store_.disk();
  test::MapIndex& index_ = store_.index();
  std::map<uint64_t, uint64_t> versions_;
};

TEST_F(Damage, EveryFlippedBitIsFound) {
  open();
  for (uint64_t trial = 0; trial < trials(10'000) && !HasFailure(); ++trial) {
    put(1);
    const RecordAddress at = addressOf(1);
    const uint64_t covered =
        at.length - roundUpToBlock(kValueBytes) + kValueBytes;  // the rest is padding
    disk_.flipBit(fileOf(at), at.offset + random_() % covered, static_cast<int>(random_() % 8));
    expectFound(1);
  }
}

// Whole records, headers alone, payloads alone, single blocks: of the same size, each intact.
TEST_F(Damage, EveryMisdirectedPieceIsFound) {
  open();
  uint64_t swapped = 0;
  for (uint64_t trial = 0; trial < trials(10'000) && !HasFailure(); ++trial) {
    put(1);
    put(2);
    const RecordAddress a = addressOf(1), b = addressOf(2);
    if (a.segment != b.segment) continue;
    ++swapped;
    const uint64_t header = a.length - roundUpToBlock(kValueBytes);
    const uint64_t kind = random_() % 4;
    const uint64_t begin = kind == 2 ? header : kind == 3 ? header + kDiskBlock : 0;
    const uint64_t bytes = kind == 0 ? a.length : kind == 1 ? header : kDiskBlock;
    disk_.swap(fileOf(a), a.offset + begin, b.offset + begin, bytes);
    expectFound(1);
    expectFound(2);
  }
  EXPECT_GT(swapped, trials(10'000) * 9 / 10);
}

// And the earlier value of the same key, of the same size, where the later one should be.
TEST_F(Damage, AnOlderValueInTheNewOnesPlaceIsFound) {
  open();
  for (uint64_t trial = 0; trial < trials(2'000) && !HasFailure(); ++trial) {
    put(1);
    const RecordAddress old = addressOf(1);
    put(1);
    const RecordAddress now = addressOf(1);
    if (old.segment != now.segment) continue;
    disk_.swap(fileOf(old), old.offset, now.offset, old.length);
    expectFound(1);
  }
}

// What stands before the place is there, whole; the store goes on behind it.
TEST_F(Damage, ALogThatEndsAtAnySectorRecovers) {
  open();
  constexpr uint64_t kKeys = 6;
  for (uint64_t key = 0; key < kKeys; ++key) put(key);
  const RecordAddress last = addressOf(kKeys - 1);
  const Bytes whole = disk_.contents().at(fileOf(last));
  const uint64_t end = last.offset + last.length;
  for (const bool cut : {false, true}) {
    for (uint64_t at = kDiskBlock; at <= end && !HasFailure(); at += 512) {
      SCOPED_TRACE((cut ? "cut at " : "zero from ") + std::to_string(at));
      Bytes torn = whole;
      std::fill(torn.begin() + static_cast<ptrdiff_t>(at), torn.end(), std::byte{0});
      if (cut) torn.resize(at);
      store_.close();
      index_.crash(0);
      disk_.place(fileOf(last), torn);
      open();
      for (uint64_t key = 0; key < kKeys; ++key) {
        const uint64_t behind = kDiskBlock + (key + 1) * last.length;
        const uint64_t padding = roundUpToBlock(kValueBytes) - kValueBytes;
        const bool there = at + (cut ? 0 : padding) >= behind;
        EXPECT_EQ(holds(key), there) << key;
      }
      // Nothing can be written behind the end of a file that was cut: its segment is given up.
      EXPECT_TRUE(tryPut(99).ok() || (cut && tryPut(99).ok()));
      EXPECT_TRUE(holds(99));
      versions_.erase(99);
    }
  }
}

}  // namespace
}  // namespace spolia::store
