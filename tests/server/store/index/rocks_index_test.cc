#include "server/store/index/rocks_index.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <random>

#include "server/store/index/index_value.h"
#include "tests/support/failing_files.h"
#include "tests/support/store_simulation.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

using test::FaultPlan;

constexpr FaultPlan::Kind kKinds[] = {FaultPlan::Kind::kIoError, FaultPlan::Kind::kNoSpace};

IndexEntry entryOf(uint64_t n) {
  IndexEntry entry;
  entry.meta.key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  entry.meta.attributes = Bytes(kMaxAttributeBytes, std::byte{7});
  for (size_t i = 0; i < kMaxAttributeBytes; i += 8) {  // nothing that compresses
    n = n * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(entry.meta.attributes.data() + i, &n, 8);
  }
  entry.address = {SegmentId{1}, Generation{1}, 4096, 8192};
  entry.sequence = n;
  return entry;
}

class RocksIndexTest : public ::testing::Test {
 protected:
  std::unique_ptr<Index> open() {
    auto opened = openRocksIndex({directory_.path() / "index", kMinIndexShare, failing_.env()});
    EXPECT_TRUE(opened.ok()) << opened.status().toString();
    return opened.ok() ? std::move(*opened) : nullptr;
  }
  // Enough to fill a write buffer several times.
  static Status fill(Index& index, uint64_t from, uint64_t count) {
    for (uint64_t n = from; n < from + count; n += 20) {
      IndexBatch batch;
      for (uint64_t i = n; i < n + 20; ++i) batch.puts.push_back(entryOf(i));
      SPOLIA_RETURN_IF_ERROR(index.apply(batch));
    }
    return Status();
  }

  test::TemporaryDirectory directory_;
  test::FailingEnv failing_;
};

// Once nothing stands in its way it is written again, without being opened again.
TEST_F(RocksIndexTest, GoesOnWhenThereIsRoomAgain) {
  const std::unique_ptr<Index> index = open();
  ASSERT_TRUE(fill(*index, 0, 200).ok());
  EXPECT_TRUE(index->writable().ok());
  failing_.plan().failNth(0, FaultPlan::Kind::kNoSpace, true);
  const Status full = fill(*index, 200, 400);
  EXPECT_EQ(full.code(), ErrorCode::kOutOfSpace) << full.toString();
  EXPECT_EQ(index->writable().code(), ErrorCode::kOutOfSpace);
  failing_.plan().clear();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!index->writable().ok() && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_TRUE(index->writable().ok());
  EXPECT_TRUE(fill(*index, 200, 400).ok());
  for (uint64_t n = 0; n < 600; n += 50) {
    const auto found = index->find(entryOf(n).meta.key);
    EXPECT_TRUE(found.ok() && found->has_value()) << n;
  }
}

// RocksDB ends the process where it cannot write into one.
TEST_F(RocksIndexTest, KeepsNoFileOfMessages) {
  ASSERT_TRUE(fill(*open(), 0, 200).ok());
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "index" / "CURRENT"));
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "index" / "LOG"));
}

TEST_F(RocksIndexTest, StaysWithinItsShareWithAsManyEntriesAsItMayHave) {
  const RocksIndexConfig config{directory_.path() / "index", kMinIndexShare};
  auto opened = openRocksIndex(config);
  ASSERT_TRUE(opened.ok());
  const uint64_t most = config.entryBudget() / indexedBytes(entryOf(0).meta);
  ASSERT_GT(most, 200u);
  std::mt19937_64 random(1);
  std::vector<uint64_t> live;
  for (uint64_t n = 0; n < 20 * most; ++n) {
    IndexBatch batch;
    batch.puts.push_back(entryOf(n));
    if (live.size() >= most) {
      std::swap(live[random() % live.size()], live.back());
      batch.removes.push_back(entryOf(live.back()).meta.key);
      live.pop_back();
    }
    live.push_back(n);
    ASSERT_TRUE((*opened)->apply(batch).ok());
    ASSERT_LE((*opened)->diskBytes(), config.shareBytes) << "after " << n;
  }
}

// Every call that writes, makes, renames or reads a file of the index fails once while the store
// runs: what was acknowledged is there afterwards, and nothing else but what may be.
class RocksIndexFaults : public ::testing::TestWithParam<FaultPlan::Kind> {};

TEST_P(RocksIndexFaults, CostNothingThatWasAcknowledged) {
  const auto run = [&](std::optional<uint64_t> failing) {
    test::TemporaryDirectory directory;
    test::FailingEnv env;
    test::StoreSimulation sim(11, test::SimulationShape{256 << 10, 4, 12, 9000});
    sim.useIndex([&] {
      auto opened = openRocksIndex({directory.path() / "index", kMinIndexShare, env.env()});
      EXPECT_TRUE(opened.ok()) << opened.status().toString();
      return opened.ok() ? std::move(*opened) : nullptr;
    });
    sim.attributes(kMaxAttributeBytes);
    sim.open();
    env.plan().failNth(failing.value_or(UINT64_MAX), GetParam());
    for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) sim.step();
    sim.finish();
    const uint64_t calls = env.plan().calls();
    env.plan().clear();
    sim.kill();
    sim.open();
    if (testing::Test::HasFailure()) return calls;
    sim.check();
    const uint64_t before = sim.acknowledged();
    sim.submit(StoreOp::Kind::kPut, 1);
    sim.finish();
    EXPECT_EQ(sim.acknowledged(), before + 1) << "it takes no writes any more";
    return calls;
  };
  const uint64_t calls = run(std::nullopt);
  ASSERT_GT(calls, 100u);
  for (uint64_t n = 0; n < calls && !testing::Test::HasFailure(); n += 1 + n / 15) {
    SCOPED_TRACE("call " + std::to_string(n) + " of " + std::to_string(calls));
    run(n);
  }
}
INSTANTIATE_TEST_SUITE_P(Kinds, RocksIndexFaults, ::testing::ValuesIn(kKinds),
                         [](const auto& kind) {
                           return kind.param == FaultPlan::Kind::kNoSpace ? "NoSpace" : "IoError";
                         });

}  // namespace
}  // namespace spolia::store
