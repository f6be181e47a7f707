// io_uring on a bad day: calls and completions that say EAGAIN, EINTR, EBUSY or ECANCELED,
// transfers that are short, a small completion queue that is looked at late. The kernel is the real
// one; what it said is changed between it and the ring, by functions of liburing that this program
// has before the library.
//
// SPOLIA_RING_REQUESTS=n: so many requests (ten million take some minutes).
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "server/store/io/uring_ring.h"
#include "tests/support/asked_number.h"
#include "tests/support/temporary_directory.h"

namespace {

struct Faults {
  double busy = 0;   // a call or a completion says that it should be tried again
  double small = 0;  // a completion says that less was moved
  std::mt19937_64 random{17};
  uint64_t done = 0;

  bool chance(double p) {
    const bool hit = p > 0 && std::uniform_real_distribution<>(0, 1)(random) < p;
    if (hit) ++done;
    return hit;
  }
  int error() {
    constexpr int kErrors[] = {EAGAIN, EINTR, EBUSY, ECANCELED};
    return -kErrors[random() % std::size(kErrors)];
  }
  void change(io_uring* ring) {
    unsigned head;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(ring, head, cqe) {
      if (cqe->user_data > UINT64_MAX - 16) continue;  // no request's
      if (chance(busy)) cqe->res = error();
      if (cqe->res > 1 && chance(small)) {
        cqe->res = static_cast<int>(1 + random() % static_cast<unsigned>(cqe->res - 1));
      }
    }
  }
};

thread_local Faults* faults = nullptr;
thread_local io_uring* changedLast = nullptr;

template <typename Function, typename... Arguments>
int changed(const char* name, io_uring* ring, Arguments... arguments) {
  static const auto real = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
  if (faults == nullptr) return real(ring, arguments...);
  changedLast = ring;
  if (faults->chance(faults->busy)) {
    constexpr int kErrors[] = {EAGAIN, EINTR, EBUSY};
    return -kErrors[faults->random() % std::size(kErrors)];
  }
  const int result = real(ring, arguments...);
  faults->change(ring);
  return result;
}

}  // namespace

extern "C" {

int io_uring_submit(io_uring* ring) {
  return changed<int(io_uring*)>("io_uring_submit", ring);
}
int io_uring_submit_and_wait(io_uring* ring, unsigned count) {
  return changed<int(io_uring*, unsigned)>("io_uring_submit_and_wait", ring, count);
}

}  // extern "C"

namespace spolia::store {
namespace {

constexpr uint64_t kBlocks = 256;
constexpr size_t kLongest = 16;  // blocks of a request

class UringFaults : public ::testing::Test {
 protected:
  ~UringFaults() override {
    faults = nullptr;
    changedLast = nullptr;
  }

  void open(uint32_t depth) {
    auto made = makeUringRing(directory_.path(), depth);
    ASSERT_TRUE(made.ok()) << made.status().toString();
    ring_ = std::move(*made);
    AlignedBuffer all(kBlocks * kDiskBlock);
    for (size_t i = 0; i < all.size(); ++i) {
      all.data()[i] = static_cast<std::byte>(i * 31 + i / kDiskBlock);
    }
    content_ = toBytes(all.span());
    const auto file = ring_->create("a", all.size(), all.span());
    ASSERT_TRUE(file.ok());
    file_ = *file;
  }
  // So many requests, `inFlight` at a time; every third writes what is there already.
  void run(uint64_t requests, size_t inFlight) {
    std::mt19937_64 random(1);
    std::vector<AlignedBuffer> buffers;
    for (size_t i = 0; i < inFlight; ++i) buffers.emplace_back(kLongest * kDiskBlock);
    std::vector<RingRequest> running(inFlight);
    std::vector<uint64_t> free(inFlight);
    for (size_t i = 0; i < inFlight; ++i) free[i] = i;
    std::vector<RingCompletion> completions;
    for (uint64_t begun = 0, done = 0; done < requests;) {
      for (; !free.empty() && begun < requests; ++begun) {
        const uint64_t slot = free.back();
        free.pop_back();
        RingRequest& r = running[slot];
        r = {random() % 3 == 0 ? RingOp::kWrite : RingOp::kRead, file_};
        r.length = (1 + random() % kLongest) * kDiskBlock;
        r.offset = random() % (kBlocks - kLongest) * kDiskBlock;
        r.data = buffers[slot].data();
        r.tag = slot;
        r.op == RingOp::kWrite ? std::memcpy(r.data, content_.data() + r.offset, r.length)
                               : std::memset(r.data, 0, r.length);
        ring_->submit(r);
      }
      completions.clear();
      // What has completed since the last call is changed too: on a slow machine it is most.
      if (changedLast != nullptr) plan_.change(changedLast);
      ring_->wait(Ring::Wait::kBlock, Ring::kForever, completions);
      for (const RingCompletion& completion : completions) {
        RingRequest& r = running[completion.tag];
        ASSERT_NE(r.data, nullptr) << "completed twice";
        ASSERT_EQ(completion.error, 0);
        ASSERT_EQ(std::memcmp(r.data, content_.data() + r.offset, r.length), 0);
        r.data = nullptr;
        free.push_back(completion.tag);
        ++done;
      }
    }
    completions.clear();
    ring_->wait(Ring::Wait::kPoll, Ring::kForever, completions);
    EXPECT_TRUE(completions.empty());
  }
  // One in twenty is changed, but for what completes between a change and the ring's look at it.
  void runUntilChanged(uint64_t times) {
    for (int round = 0; round < 10 && plan_.done <= times && !HasFatalFailure(); ++round) {
      run(requests(20'000), 100);
    }
    EXPECT_GT(plan_.done, times);
  }
  static uint64_t requests(uint64_t otherwise) {
    return test::askedNumber("SPOLIA_RING_REQUESTS", otherwise);
  }

  test::TemporaryDirectory directory_;
  Bytes content_;
  FileHandle file_;
  Faults plan_;
  std::unique_ptr<Ring> ring_;
};

TEST_F(UringFaults, BusyKernelsAreAskedAgainAndEachRequestCompletesOnce) {
  open(32);
  plan_.busy = 0.05;
  faults = &plan_;
  runUntilChanged(500);
}

TEST_F(UringFaults, ShortTransfersAreContinued) {
  open(32);
  plan_.small = 0.05;
  faults = &plan_;
  runUntilChanged(500);
}

TEST_F(UringFaults, BothAtOnceWithACompletionQueueOfSixtyFour) {
  open(31);  // a submission queue of 32
  plan_.busy = plan_.small = 0.05;
  faults = &plan_;
  run(requests(20'000), 10'000);
}

TEST_F(UringFaults, TenThousandInFlightOnASmallQueueLoseNothing) {
  open(31);
  run(10'000, 10'000);
}

}  // namespace
}  // namespace spolia::store
