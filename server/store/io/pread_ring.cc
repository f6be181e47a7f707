#include "server/store/io/pread_ring.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "server/store/io/disk_files.h"

namespace spolia::store {
namespace {

class PreadRing final : public Ring {
 public:
  PreadRing(const std::filesystem::path& directory, uint32_t queueDepth) : files_(directory) {
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

  void wait(Wait mode, std::vector<RingCompletion>& out) override {
    std::unique_lock lock(mutex_);
    if (mode == Wait::kBlock) done_.wait(lock, [this] { return woken_ || !completions_.empty(); });
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

  Result<std::vector<std::string>> list() override { return files_.list(); }
  Result<FileHandle> open(const std::string& name) override { return files_.open(name); }
  Result<uint64_t> size(FileHandle file) override { return files_.size(file); }
  Result<FileHandle> create(const std::string& name, uint64_t bytes, ByteSpan first) override {
    return files_.create(name, bytes, first);
  }
  Status readNow(FileHandle file, uint64_t offset, MutableByteSpan out) override {
    return files_.readNow(file, offset, out);
  }
  Status writeNow(FileHandle file, uint64_t offset, ByteSpan data) override {
    return files_.writeNow(file, offset, data);
  }
  Status syncNow(FileHandle file) override { return files_.syncNow(file); }

 private:
  struct Work {
    RingRequest request;
    int fd;
  };

  static int perform(const Work& work) {
    const RingRequest& r = work.request;
    if (r.op == RingOp::kSync) return ::fdatasync(work.fd) == 0 ? 0 : errno;
    size_t done = 0;
    while (done < r.length) {
      const auto at = static_cast<off_t>(r.offset + done);
      const ssize_t got = r.op == RingOp::kRead
                              ? ::pread(work.fd, r.data + done, r.length - done, at)
                              : ::pwrite(work.fd, r.data + done, r.length - done, at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) return EIO;  // end of file
      done += static_cast<size_t>(got);
    }
    return 0;
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

  DiskFiles files_;
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
