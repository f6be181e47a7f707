// A store on a file system that is full, and stays full: what was acknowledged is served, what does
// not fit is refused or pushes others out, nothing ends, and with room puts go on without an
// opening anew. ENOSPC comes from the file system here, to segments and index alike.
//
// On an ext4 and a tmpfs that the test makes for itself where it may, or below SPOLIA_VOLUME, a
// directory on a file system of at most 512 MiB. SPOLIA_VOLUME_MINUTES says how long each test goes
// on (a few seconds else), SPOLIA_VOLUME_SEED repeats its choices, though not their times.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "server/store/store.h"
#include "tests/support/asked_number.h"
#include "tests/support/filled_store.h"
#include "tests/support/small_volume.h"

namespace spolia::store {
namespace {

using std::chrono::steady_clock;
using test::VolumeKind;

constexpr uint64_t kKeys = 2000;  // their values together take more than the volume
constexpr int kVolumeMebibytes = 256;
constexpr uint64_t kReserve = 40 << 20;  // what comes back when the filler goes
constexpr uint64_t kSegment = 8 << 20;
constexpr uint64_t kIndexRoom = 2 << 20;
constexpr uint64_t kLargestVolume = 512 << 20;
constexpr uint64_t kCapacity = 1 << 30;  // never reached
constexpr size_t kMostSegments = kLargestVolume / kSegment;
constexpr auto kRoom = std::chrono::milliseconds(400);  // a round's time with room, and without
constexpr auto kFull = std::chrono::milliseconds(800);
constexpr auto kWritableBy = std::chrono::seconds(60);

// Takes what a file system has left.
class Filler {
 public:
  explicit Filler(std::filesystem::path path) : path_(std::move(path)) {}
  ~Filler() { release(); }
  // Up to so many bytes.
  void take(uint64_t most = UINT64_MAX) {
    if (fd_ < 0) fd_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    for (uint64_t step = 8 << 20; fd_ >= 0 && step >= 4096 && bytes_ < most;) {
      const int error =
          ::posix_fallocate(fd_, static_cast<off_t>(bytes_), static_cast<off_t>(step));
      error == 0 ? bytes_ += step : step /= 2;
    }
  }
  void giveBack(uint64_t bytes) {
    bytes_ -= std::min(bytes, bytes_);
    EXPECT_EQ(::ftruncate(fd_, static_cast<off_t>(bytes_)), 0);
  }
  void release() {
    if (fd_ >= 0) ::close(fd_);
    ::unlink(path_.c_str());
    fd_ = -1;
    bytes_ = 0;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  const std::filesystem::path path_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

// 1 KiB to 1 MiB, all orders of magnitude alike; begins with its version.
Bytes valueOf(uint64_t key, uint64_t version) {
  std::mt19937_64 random(key << 32 ^ version);
  const double exponent = 10 + static_cast<double>(random() % 1000) / 100;
  Bytes out = test::storePayload(random(), static_cast<size_t>(std::exp2(exponent)));
  std::memcpy(out.data(), &version, sizeof version);
  return out;
}

// What each key may read as. A version is a put or, absent, a removal; 0: absent from the
// beginning.
class FullOracle {
 public:
  struct Seen {
    std::vector<uint64_t> possible;
    uint64_t issued;
  };

  explicit FullOracle(bool evicts) : evicts_(evicts) {}

  // Nothing while another change of the key is under way.
  std::optional<uint64_t> begin(uint64_t key, bool removes) {
    std::lock_guard lock(mutex_);
    if (!busy_.insert(key).second) return std::nullopt;
    const uint64_t version = ++last_ << 1 | removes;
    possible(key).push_back(version);
    return version;
  }
  void end(uint64_t key, uint64_t version, bool acknowledged) {
    std::lock_guard lock(mutex_);
    busy_.erase(key);
    if (acknowledged) possible(key) = {version};
  }
  Seen before(uint64_t key) {
    std::lock_guard lock(mutex_);
    return {possible(key), last_};
  }
  // Whether a read that began with `seen` may have given that; nothing: a miss.
  bool allows(uint64_t key, const Seen& seen, std::optional<uint64_t> version) {
    std::lock_guard lock(mutex_);
    if (!version && evicts_) return true;
    const auto matches = [&](uint64_t one) { return version ? one == *version : absent(one); };
    // What was begun since is in `possible` as long as nothing later is acknowledged.
    const auto& now = possible(key);
    return std::ranges::any_of(seen.possible, matches) || std::ranges::any_of(now, matches) ||
           (version && *version >> 1 > seen.issued && *version >> 1 <= last_) ||
           (!version && now.front() >> 1 > seen.issued);
  }
  bool mustBeThere(uint64_t key) {
    std::lock_guard lock(mutex_);
    return std::ranges::none_of(possible(key), absent);
  }

 private:
  static bool absent(uint64_t version) { return version == 0 || (version & 1) != 0; }
  std::vector<uint64_t>& possible(uint64_t key) {
    return possible_.try_emplace(key, std::vector<uint64_t>{0}).first->second;
  }

  const bool evicts_;
  std::mutex mutex_;
  std::map<uint64_t, std::vector<uint64_t>> possible_;  // by key, in order of issue
  std::set<uint64_t> busy_;
  uint64_t last_ = 0;
};

size_t descriptors() {
  const std::filesystem::directory_iterator open("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(open), end(open)));
}

struct Tally {
  uint64_t acknowledged = 0;
  std::map<ErrorCode, uint64_t> refused;
  uint64_t readOnly = 0;     // how often the index was seen to take nothing
  double slowestReturn = 0;  // seconds
  uint64_t stores = 0;
  uint64_t evicted = 0;
  std::vector<double> roomy, full;  // seconds of gets

  static double p99(std::vector<double>& seconds) {
    if (seconds.empty()) return 0;
    const auto at = seconds.begin() + static_cast<ptrdiff_t>(seconds.size() * 99 / 100);
    std::ranges::nth_element(seconds, at);
    return *at;
  }
};

// One store, from empty to where it has all of the volume.
class FullStore {
 public:
  FullStore(const std::filesystem::path& volume, bool evicts, std::mt19937_64& random, Tally& tally)
      : oracle_(evicts), random_(random), tally_(tally), filler_(volume / "filler") {
    config_.directory = volume / "store";
    config_.capacityBytes = kCapacity;
    config_.segmentBytes = kSegment;
    config_.eviction = evicts ? "value" : "none";
    ++tally_.stores;
  }
  ~FullStore() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(config_.directory, ignored);
  }

  void run(steady_clock::time_point until) {
    ASSERT_NO_FATAL_FAILURE(open());
    do {
      filler_.take(kReserve);
      if (filler_.bytes() < kReserve / 2) break;
      ASSERT_NO_FATAL_FAILURE(round());
    } while (steady_clock::now() < until || rounds_ < 2);
    tally_.evicted += store_->figures().evicted;
    const uint64_t missing = missingOfAll();
    EXPECT_LE(missing, store_->figures().evicted);
    filler_.take();
    ASSERT_NO_FATAL_FAILURE(reopen());
    EXPECT_LE(missingOfAll(), missing);
  }

 private:
  void open() {
    auto opened = Store::open(config_);
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    store_ = std::move(*opened);
  }

  // The volume is full at first: an opening may be refused for that, and harms nothing.
  void reopen() {
    store_.reset();
    if (auto opened = Store::open(config_); !opened.ok()) {
      EXPECT_EQ(opened.status().code(), ErrorCode::kOutOfSpace) << opened.status().toString();
    }
    filler_.release();
    open();
  }

  void round() {
    workFor(kRoom, tally_.roomy, [] {});
    filler_.take();
    // Every other time the index finds some room, and segments none.
    const bool all = rounds_++ % 2 == 0;
    if (!all) filler_.giveBack(kIndexRoom);
    workFor(kFull, tally_.full, [this, all] {
      if (all) filler_.take();
      tally_.readOnly += !store_->figures().readOnly.empty();
    });
    filler_.release();
    const auto since = steady_clock::now();
    std::string last;
    while (!put(random_() % kKeys, last)) {
      ASSERT_LT(steady_clock::now() - since, kWritableBy) << last;
      std::this_thread::yield();
    }
    const std::chrono::duration<double> took = steady_clock::now() - since;
    tally_.slowestReturn = std::max(tally_.slowestReturn, took.count());
    EXPECT_EQ(store_->figures().readOnly, "");
    EXPECT_LE(descriptors(), 2 * kMostSegments) << "files are left open";
  }

  // Changes from this thread, a few at a time, and reads from another.
  template <typename Between>
  void workFor(steady_clock::duration time, std::vector<double>& latencies, Between between) {
    const auto until = steady_clock::now() + time;
    std::atomic<bool> stop{false};
    std::jthread reader([&, seed = random_()] {
      std::mt19937_64 random(seed);
      StoreQueue queue;
      while (!stop) latencies.push_back(get(random() % kKeys, queue));
    });
    while (steady_clock::now() < until) {
      for (int i = 0; i < 4; ++i) change(random_() % kKeys, random_() % 8 == 0);
      while (changes_.size() > random_() % 8) finishOne().ignore();
      between();
    }
    while (!changes_.empty()) finishOne().ignore();
    stop = true;
  }

  // Seconds.
  double get(uint64_t key, StoreQueue& queue) {
    const FullOracle::Seen seen = oracle_.before(key);
    const auto began = steady_clock::now();
    store_->submitGet(test::storeKey(key), 0, UINT64_MAX, key, queue);
    const StoreCompletion got = queue.waitPop();
    const std::chrono::duration<double> took = steady_clock::now() - began;
    std::optional<uint64_t> version;
    if (got.status.ok()) {
      version = 0;
      std::memcpy(&*version, got.range().data(), std::min(got.range().size(), sizeof *version));
      EXPECT_TRUE(std::ranges::equal(got.range(), valueOf(key, *version))) << "key " << key;
    } else {
      EXPECT_EQ(got.status.code(), ErrorCode::kNotFound) << got.status.toString();
    }
    EXPECT_TRUE(oracle_.allows(key, seen, version))
        << "key " << key << (version ? ": stale" : ": lost");
    return took.count();
  }

  void change(uint64_t key, bool removes) {
    const std::optional<uint64_t> version = oracle_.begin(key, removes);
    if (!version) return;
    changes_[key] = *version;
    if (removes) return store_->submitRemove(test::storeKey(key), key, queue_);
    PutRequest request;
    request.meta.key = test::storeKey(key);
    request.payload = AlignedBuffer::copyOf(valueOf(key, *version));
    request.policy = PutPolicy::kReplace;
    store_->submitPut(std::move(request), key, queue_);
  }

  Status finishOne() {
    const StoreCompletion done = queue_.waitPop();
    const uint64_t version = changes_.extract(done.cookie).mapped();
    const ErrorCode code = done.status.code();
    const bool gone = (version & 1) != 0 && code == ErrorCode::kNotFound;
    oracle_.end(done.cookie, version, done.status.ok() || gone);
    if (done.status.ok() || gone) {
      ++tally_.acknowledged;
      return Status();
    }
    ++tally_.refused[code];
    EXPECT_TRUE(code == ErrorCode::kOutOfSpace || code == ErrorCode::kUnavailable ||
                code == ErrorCode::kIoError)
        << done.status.toString();
    return done.status;
  }

  bool put(uint64_t key, std::string& why) {
    change(key, false);
    const Status done = finishOne();
    why = done.toString();
    return done.ok();
  }

  // How many keys have no entry that should have one. Nobody else is at work.
  uint64_t missingOfAll() {
    uint64_t missing = 0;
    StoreQueue queue;
    for (uint64_t key = 0; key < kKeys; ++key) {
      get(key, queue);
      const auto known = store_->find(test::storeKey(key));
      EXPECT_TRUE(known.ok()) << known.status().toString();
      missing += known.ok() && !*known && oracle_.mustBeThere(key);
    }
    return missing;
  }

  FullOracle oracle_;
  std::mt19937_64& random_;
  Tally& tally_;
  Filler filler_;
  uint64_t rounds_ = 0;
  StoreConfig config_;
  std::unique_ptr<Store> store_;
  StoreQueue queue_;
  std::map<uint64_t, uint64_t> changes_;  // under way: by key, the version
};

void fillAndWork(const std::filesystem::path& volume, bool evicts) {
  struct statvfs info {};
  ASSERT_EQ(::statvfs(volume.c_str(), &info), 0) << volume;
  ASSERT_LE(info.f_blocks * info.f_frsize, kLargestVolume) << "SPOLIA_VOLUME is filled up";
  const uint64_t seed = test::askedNumber("SPOLIA_VOLUME_SEED", 20261121);
  SCOPED_TRACE("SPOLIA_VOLUME_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto minutes = std::chrono::minutes(test::askedNumber("SPOLIA_VOLUME_MINUTES", 0));
  const auto until = steady_clock::now() + minutes + std::chrono::seconds(4);
  Tally tally;
  do {
    FullStore store(volume, evicts, random, tally);
    store.run(until);
  } while (!testing::Test::HasFailure() && steady_clock::now() < until);
  const double roomy = Tally::p99(tally.roomy), full = Tally::p99(tally.full);
  std::printf("%llu changes acknowledged, refused:", (unsigned long long)tally.acknowledged);
  for (const auto& [code, times] : tally.refused) {
    std::printf(" %llu %s", (unsigned long long)times, std::string(errorCodeName(code)).c_str());
  }
  std::printf("; %llu stores, %llu evicted, index read-only %llu times\n",
              (unsigned long long)tally.stores, (unsigned long long)tally.evicted,
              (unsigned long long)tally.readOnly);
  std::printf(
      "writable %.3f s after space returned at most; get p99 %.2f ms, full %.2f ms (x%.2f)\n",
      tally.slowestReturn, roomy * 1e3, full * 1e3, full / roomy);
  EXPECT_GT(tally.acknowledged, 20u);
  EXPECT_GT(tally.refused[ErrorCode::kOutOfSpace], 0u);
  EXPECT_GT(tally.readOnly, 0u) << "the index never met the end of the volume";
}

class FullVolume : public ::testing::TestWithParam<std::tuple<VolumeKind, bool>> {};

TEST_P(FullVolume, LosesNothingAndTakesPutsAgain) {
  const auto [kind, evicts] = GetParam();
  if (const char* given = std::getenv("SPOLIA_VOLUME")) return fillAndWork(given, evicts);
  const auto* self = testing::UnitTest::GetInstance()->current_test_info();
  const test::VolumeRun run = test::runOnVolume(
      kind, kVolumeMebibytes, std::string(self->test_suite_name()) + "." + self->name());
  if (!run.made) GTEST_SKIP() << "no file system to fill: " << run.output;
  std::fputs(run.output.c_str(), stdout);
  EXPECT_EQ(run.exitStatus, 0);
}

std::string nameOf(const testing::TestParamInfo<FullVolume::ParamType>& kind) {
  const auto& [volume, evicts] = kind.param;
  return std::string(volume == VolumeKind::kExt4 ? "Ext4" : "Tmpfs") +
         (evicts ? "Evicting" : "Refusing");
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, FullVolume,
    ::testing::Combine(::testing::Values(VolumeKind::kExt4, VolumeKind::kTmpfs), ::testing::Bool()),
    nameOf);

}  // namespace
}  // namespace spolia::store
