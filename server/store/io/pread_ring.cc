#include "server/store/io/pread_ring.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "server/store/io/disk_files.h"
#include "server/store/io/transfer_progress.h"

namespace spolia::store {
namespace {

class PreadRing final : public DiskRing {
 public:
  PreadRing(const std::filesystem::path& directory, uint32_t queueDepth) : DiskRing(directory) {
    const uint32_t threads = std::clamp<uint32_t>(queueDepth, 1, 8);
    for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~PreadRing() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::string_view name() const override { return "pread"; }

  void submit(const RingRequest& request) override {
    // The descriptor is looked up here: the table of files belongs to this thread.
    {
      std::lock_guard lock(mutex_);
      requests_.push_back({request, files_.descriptor(request.file)});
    }
    work_.notify_one();
  }

  // What a thread has begun with is not to be stopped.
  void cancel(uint64_t tag) override {
    std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(
        requests_, [tag](const Work& work) { return work.request.tag == tag; });
    if (at == requests_.end()) return;
    requests_.erase(at);
    completions_.push_back({tag, ECANCELED});
  }

  void wait(Wait mode, std::chrono::nanoseconds atMost, std::vector<RingCompletion>& out) override {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return woken_ || !completions_.empty(); };
    if (mode == Wait::kBlock && atMost == kForever) done_.wait(lock, ready);
    if (mode == Wait::kBlock && atMost != kForever) done_.wait_for(lock, atMost, ready);
    woken_ = false;
    out.insert(out.end(), completions_.begin(), completions_.end());
    completions_.clear();
  }

  void wake() override {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    done_.notify_one();
  }

 private:
  struct Work {
    RingRequest request;
    int fd;
  };

  static int perform(const Work& work) {
    const RingRequest& r = work.request;
    if (r.op == RingOp::kSync) return ::fdatasync(work.fd) == 0 ? 0 : errno;
    TransferProgress progress(r.length);
    for (;;) {
      std::byte* const data = r.data + progress.done();
      const auto at = static_cast<off_t>(r.offset + progress.done());
      const ssize_t got = r.op == RingOp::kRead ? ::pread(work.fd, data, progress.left(), at)
                                                : ::pwrite(work.fd, data, progress.left(), at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      const auto next = progress.moved(static_cast<size_t>(got));
      if (next == TransferProgress::Next::kDone) return 0;
      if (next == TransferProgress::Next::kFailed) return EIO;
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return stopping_ || !requests_.empty(); });
      if (requests_.empty()) return;
      const Work work = requests_.front();
      requests_.pop_front();
      lock.unlock();
      const int error = perform(work);
      lock.lock();
      completions_.push_back({work.request.tag, error});
      done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Work> requests_;                // guarded by mutex_
  std::vector<RingCompletion> completions_;  // guarded by mutex_
  bool woken_ = false;                       // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Ring>> makePreadRing(const std::filesystem::path& directory,
                                            uint32_t queueDepth) {
  return std::unique_ptr<Ring>(std::make_unique<PreadRing>(directory, queueDepth));
}

}  // namespace spolia::store
