#include "server/store/io/uring_ring.h"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "codec/base/check.h"
#include "server/store/io/disk_files.h"
#include "server/store/io/transfer_progress.h"

namespace spolia::store {
namespace {

constexpr uint64_t kWakeTag = UINT64_MAX;
// EAGAIN, EINTR and EBUSY are tried again this often before they count as failures.
constexpr int kMaxRetries = 32;

// A request on its way; its index is the tag the kernel sees.
struct Flight {
  RingRequest request;
  TransferProgress progress;
  int retries = 0;
};

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
    return Status();
  }

  std::string_view name() const override { return "io_uring"; }

  void submit(const RingRequest& request) override {
    waiting_.push_back(request);
    fill();
  }

  void wait(Wait mode, std::vector<RingCompletion>& out) override {
    fill();
    const size_t before = out.size();
    reap(out);
    const bool block = mode == Wait::kBlock && out.size() == before && !woken_;
    const int failed = io_uring_submit_and_wait(&ring_, block ? 1 : 0);
    SPOLIA_CHECK(failed >= 0 || failed == -EINTR || failed == -EAGAIN || failed == -EBUSY);
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
  void armWake() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    SPOLIA_CHECK(sqe != nullptr);
    io_uring_prep_poll_add(sqe, wakeFd_, POLLIN);
    io_uring_sqe_set_data64(sqe, kWakeTag);
  }

  // Moves waiting requests into free slots of the submission queue.
  void fill() {
    while (!waiting_.empty() && !free_.empty() && io_uring_sq_space_left(&ring_) > 1) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      flights_[slot] = Flight{waiting_.front(), TransferProgress(waiting_.front().length), 0};
      waiting_.pop_front();
      prepare(slot);
    }
  }

  void prepare(uint32_t slot) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {  // full: the kernel takes what is there
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    SPOLIA_CHECK(sqe != nullptr);
    const Flight& flight = flights_[slot];
    const RingRequest& r = flight.request;
    const int fd = files_.descriptor(r.file);
    const size_t done = flight.progress.done();
    const auto length = static_cast<unsigned>(flight.progress.left());
    switch (r.op) {
      case RingOp::kRead:
        io_uring_prep_read(sqe, fd, r.data + done, length, r.offset + done);
        break;
      case RingOp::kWrite:
        io_uring_prep_write(sqe, fd, r.data + done, length, r.offset + done);
        break;
      case RingOp::kSync:
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data64(sqe, slot);
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
      } else {
        finish(static_cast<uint32_t>(tag), result, out);
      }
    }
  }

  // One kernel completion: done, or another round for the rest.
  void finish(uint32_t slot, int result, std::vector<RingCompletion>& out) {
    Flight& flight = flights_[slot];
    const RingRequest& r = flight.request;
    const bool again = result == -EAGAIN || result == -EINTR || result == -EBUSY;
    if (again && ++flight.retries <= kMaxRetries) return prepare(slot);
    int error = result < 0 ? -result : 0;
    if (error == 0 && r.op != RingOp::kSync) {
      const auto next = flight.progress.moved(static_cast<size_t>(result));
      if (next == TransferProgress::Next::kAgain) return prepare(slot);
      if (next == TransferProgress::Next::kFailed) error = EIO;
    }
    out.push_back({r.tag, error});
    free_.push_back(slot);
  }

  io_uring ring_{};
  bool ready_ = false;
  bool woken_ = false;
  int wakeFd_ = -1;
  std::vector<Flight> flights_;
  std::vector<uint32_t> free_;
  std::deque<RingRequest> waiting_;
};

}  // namespace

Result<std::unique_ptr<Ring>> makeUringRing(const std::filesystem::path& directory,
                                            uint32_t queueDepth) {
  auto ring = std::make_unique<UringRing>(directory);
  SPOLIA_RETURN_IF_ERROR(ring->init(queueDepth));
  return std::unique_ptr<Ring>(std::move(ring));
}

}  // namespace spolia::store
