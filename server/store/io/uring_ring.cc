#include "server/store/io/uring_ring.h"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "codec/base/buffer_arena.h"
#include "codec/base/check.h"
#include "server/store/io/disk_files.h"
#include "server/store/io/transfer_progress.h"

namespace spolia::store {
namespace {

constexpr uint64_t kWakeTag = UINT64_MAX;
constexpr uint64_t kCancelTag = UINT64_MAX - 1;
// What the kernel may refuse for now is tried again this often before it counts as a failure.
constexpr int kMaxRetries = 32;
// Of the arena: what buffers are usually in, and as little as is of use.
constexpr size_t kRegisteredBytes = 64 << 20;
constexpr size_t kLeastRegistered = 2 << 20;
constexpr int64_t kNsPerSecond = 1'000'000'000;
// Keeps the kernel's tags of requests apart from the two above.
constexpr uint32_t kSubmissionMask = UINT32_MAX >> 1;

// A request on its way. The kernel sees its index and, so that giving one up never meets the next
// in its place, the number of its submission.
struct Flight {
  RingRequest request;
  TransferProgress progress;
  uint32_t submission = 0;
  int retries = 0;
  bool underWay = false;
  bool givenUp = false;
};

uint64_t kernelTag(uint32_t slot, uint32_t submission) {
  return uint64_t{submission} << 32 | slot;
}

bool maySucceedLater(int error) {
  return error == EAGAIN || error == EINTR || error == EBUSY || error == ECANCELED;
}

class UringRing final : public DiskRing {
 public:
  explicit UringRing(const std::filesystem::path& directory) : DiskRing(directory) {}
  ~UringRing() override {
    if (!ready_) return;
    io_uring_queue_exit(&ring_);
    ::close(wakeFd_);
  }

  Status init(uint32_t queueDepth) {
    const int failed = io_uring_queue_init(queueDepth + 1, &ring_, 0);
    if (failed < 0) {
      return Status(ErrorCode::kUnavailable, std::string("io_uring: ") + std::strerror(-failed));
    }
    wakeFd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    SPOLIA_CHECK(wakeFd_ >= 0);
    ready_ = true;
    flights_.resize(queueDepth);
    for (uint32_t i = 0; i < queueDepth; ++i) free_.push_back(i);
    armWake();
    registerBuffers();
    return Status();
  }

  std::string_view name() const override { return "io_uring"; }
  std::string missing() const override {
    const std::string files = DiskRing::missing();
    return unregistered_ + (unregistered_.empty() || files.empty() ? "" : "; ") + files;
  }

  void submit(const RingRequest& request) override {
    waiting_.push_back(request);
    fill();
  }

  void cancel(uint64_t tag) override {
    const auto isIt = [tag](const RingRequest& request) { return request.tag == tag; };
    if (const auto at = std::ranges::find_if(waiting_, isIt); at != waiting_.end()) {
      waiting_.erase(at);
      neverBegun_.push_back(tag);
      return;
    }
    const auto at = std::ranges::find_if(
        flights_, [&](const Flight& flight) { return flight.underWay && isIt(flight.request); });
    if (at == flights_.end() || at->givenUp) return;
    at->givenUp = true;
    const auto slot = static_cast<uint32_t>(at - flights_.begin());
    io_uring_sqe* sqe = nextSqe();
    io_uring_prep_cancel64(sqe, kernelTag(slot, at->submission), 0);
    io_uring_sqe_set_data64(sqe, kCancelTag);
  }

  void wait(Wait mode, std::chrono::nanoseconds atMost, std::vector<RingCompletion>& out) override {
    fill();
    const size_t before = out.size();
    for (const uint64_t tag : std::exchange(neverBegun_, {})) out.push_back({tag, ECANCELED});
    reap(out);
    const bool block = mode == Wait::kBlock && out.size() == before && !woken_;
    const int failed = block ? submitAndWait(atMost) : io_uring_submit(&ring_);
    SPOLIA_CHECK(failed >= 0 || failed == -ETIME || maySucceedLater(-failed));
    reap(out);
    fill();
    io_uring_submit(&ring_);
    woken_ = false;
  }

  void wake() override {
    const uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(wakeFd_, &one, sizeof one);
  }

 private:
  // Tells the kernel of the memory that long buffers are taken from, as much as it takes. Requests
  // elsewhere do without: pages are then looked up and pinned for each.
  void registerBuffers() {
    BufferArena& arena = BufferArena::process();
    const size_t wanted = std::min(arena.memory().size(), kRegisteredBytes);
    int refused = 0;
    for (size_t bytes = wanted; bytes >= kLeastRegistered && registered_.empty(); bytes /= 2) {
      arena.hold(bytes);
      const iovec region{arena.memory().data(), bytes};
      const int failed = io_uring_register_buffers(&ring_, &region, 1);
      if (failed == 0) registered_ = arena.memory().first(bytes);
      if (failed != 0) refused = -failed;
      if (failed != 0 && failed != -ENOMEM) break;  // fewer would not help
    }
    if (refused == 0) return;
    unregistered_ = "registered buffers: " + std::to_string(registered_.size() >> 20) + " of " +
                    std::to_string(wanted >> 20) + " MiB, " + std::strerror(refused);
  }

  void armWake() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    SPOLIA_CHECK(sqe != nullptr);
    io_uring_prep_poll_add(sqe, wakeFd_, POLLIN);
    io_uring_sqe_set_data64(sqe, kWakeTag);
  }

  int submitAndWait(std::chrono::nanoseconds atMost) {
    if (atMost == kForever) return io_uring_submit_and_wait(&ring_, 1);
    __kernel_timespec time{atMost.count() / kNsPerSecond, atMost.count() % kNsPerSecond};
    io_uring_cqe* first = nullptr;
    return io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr);
  }

  // When the queue is full the kernel takes what is there.
  io_uring_sqe* nextSqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    SPOLIA_CHECK(sqe != nullptr);
    return sqe;
  }

  // Moves waiting requests into free slots of the submission queue.
  void fill() {
    while (!waiting_.empty() && !free_.empty() && io_uring_sq_space_left(&ring_) > 1) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      flights_[slot] = Flight{waiting_.front(), TransferProgress(waiting_.front().length)};
      waiting_.pop_front();
      prepare(slot);
    }
  }

  bool isRegistered(const RingRequest& r) const {
    return r.data >= registered_.data() &&
           r.data + r.length <= registered_.data() + registered_.size();
  }

  void prepare(uint32_t slot) {
    io_uring_sqe* sqe = nextSqe();
    Flight& flight = flights_[slot];
    flight.underWay = true;
    flight.submission = nextSubmission_++ & kSubmissionMask;
    const RingRequest& r = flight.request;
    const int fd = files_.descriptor(r.file);
    const size_t done = flight.progress.done();
    const auto length = static_cast<unsigned>(flight.progress.left());
    switch (r.op) {
      case RingOp::kRead:
        isRegistered(r)
            ? io_uring_prep_read_fixed(sqe, fd, r.data + done, length, r.offset + done, 0)
            : io_uring_prep_read(sqe, fd, r.data + done, length, r.offset + done);
        break;
      case RingOp::kWrite:
        isRegistered(r)
            ? io_uring_prep_write_fixed(sqe, fd, r.data + done, length, r.offset + done, 0)
            : io_uring_prep_write(sqe, fd, r.data + done, length, r.offset + done);
        break;
      case RingOp::kSync:
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data64(sqe, kernelTag(slot, flight.submission));
  }

  void reap(std::vector<RingCompletion>& out) {
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
      const uint64_t tag = io_uring_cqe_get_data64(cqe);
      const int result = cqe->res;
      io_uring_cqe_seen(&ring_, cqe);
      if (tag == kWakeTag) {
        uint64_t count;
        [[maybe_unused]] auto got = ::read(wakeFd_, &count, sizeof count);
        woken_ = true;
        armWake();
      } else if (tag != kCancelTag) {
        finish(static_cast<uint32_t>(tag), result, out);
      }
    }
  }

  // One kernel completion: done, or another round for the rest.
  void finish(uint32_t slot, int result, std::vector<RingCompletion>& out) {
    Flight& flight = flights_[slot];
    const RingRequest& r = flight.request;
    const bool again = maySucceedLater(-result) && ++flight.retries <= kMaxRetries;
    if (again && !flight.givenUp) return prepare(slot);
    int error = result < 0 ? -result : 0;
    if (error == 0 && r.op != RingOp::kSync) {
      const auto next = flight.progress.moved(static_cast<size_t>(result));
      if (next == TransferProgress::Next::kAgain && !flight.givenUp) return prepare(slot);
      if (next == TransferProgress::Next::kAgain) error = ECANCELED;
      if (next == TransferProgress::Next::kFailed) error = EIO;
    }
    flight.underWay = false;
    out.push_back({r.tag, error});
    free_.push_back(slot);
  }

  io_uring ring_{};
  bool ready_ = false;
  bool woken_ = false;
  int wakeFd_ = -1;
  std::vector<Flight> flights_;
  std::vector<uint32_t> free_;
  uint32_t nextSubmission_ = 0;
  std::deque<RingRequest> waiting_;
  std::span<std::byte> registered_;   // of the arena
  std::string unregistered_;          // why it is not what was wanted
  std::vector<uint64_t> neverBegun_;  // tags of what was given up while it waited
};

}  // namespace

Result<std::unique_ptr<Ring>> makeUringRing(const std::filesystem::path& directory,
                                            uint32_t queueDepth) {
  auto ring = std::make_unique<UringRing>(directory);
  SPOLIA_RETURN_IF_ERROR(ring->init(queueDepth));
  return std::unique_ptr<Ring>(std::move(ring));
}

}  // namespace spolia::store
