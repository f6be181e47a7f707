// Files under RocksDB of which one call fails, or all from one on. Any thread.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace spolia::test {

// Counts calls that write, make, rename or read files, and decides which of them fail.
class FaultPlan {
 public:
  enum class Kind { kIoError, kNoSpace };

  // The n-th call from now on (0: the next) fails, and those after it too when `lasting`.
  void failNth(uint64_t n, Kind kind, bool lasting = false) {
    std::lock_guard lock(mutex_);
    left_ = n;
    kind_ = kind;
    lasting_ = lasting;
    armed_ = true;
    calls_ = 0;
  }
  void clear() {
    std::lock_guard lock(mutex_);
    armed_ = false;
  }
  // Since failNth().
  uint64_t calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }

  // Reading needs no space: it is not counted while that is what is to run out.
  rocksdb::IOStatus nextRead() {
    std::lock_guard lock(mutex_);
    return kind_ == Kind::kNoSpace ? rocksdb::IOStatus::OK() : decide();
  }
  rocksdb::IOStatus next() {
    std::lock_guard lock(mutex_);
    return decide();
  }

 private:
  rocksdb::IOStatus decide() {
    ++calls_;
    if (!armed_ || left_ > 0) {
      left_ -= armed_ ? 1 : 0;
      return rocksdb::IOStatus::OK();
    }
    armed_ = lasting_;
    return kind_ == Kind::kNoSpace ? rocksdb::IOStatus::NoSpace("no room, as planned")
                                   : rocksdb::IOStatus::IOError("failed, as planned");
  }

  mutable std::mutex mutex_;
  uint64_t left_ = 0;
  uint64_t calls_ = 0;
  Kind kind_ = Kind::kIoError;
  bool lasting_ = false;
  bool armed_ = false;
};

class FailingWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FailingWritableFile(std::unique_ptr<rocksdb::FSWritableFile> file, FaultPlan& plan)
      : FSWritableFileOwnerWrapper(std::move(file)), plan_(plan) {}

  using Options = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const Options& o, Debug* d) override {
    const rocksdb::IOStatus planned = plan_.next();
    return planned.ok() ? FSWritableFileOwnerWrapper::Append(data, o, d) : planned;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const Options& o,
                           const rocksdb::DataVerificationInfo& v, Debug* d) override {
    const rocksdb::IOStatus planned = plan_.next();
    return planned.ok() ? FSWritableFileOwnerWrapper::Append(data, o, v, d) : planned;
  }
  rocksdb::IOStatus Sync(const Options& o, Debug* d) override {
    const rocksdb::IOStatus planned = plan_.next();
    return planned.ok() ? FSWritableFileOwnerWrapper::Sync(o, d) : planned;
  }

 private:
  FaultPlan& plan_;
};

class FailingReadableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FailingReadableFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, FaultPlan& plan)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), plan_(plan) {}

  rocksdb::IOStatus Read(uint64_t offset, size_t n, const rocksdb::IOOptions& o,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* d) const override {
    const rocksdb::IOStatus planned = plan_.nextRead();
    if (!planned.ok()) return planned;
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, o, result, scratch, d);
  }

 private:
  FaultPlan& plan_;
};

class FailingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FailingFileSystem(FaultPlan& plan)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), plan_(plan) {}

  const char* Name() const override { return "FailingFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& o,
                                    std::unique_ptr<rocksdb::FSWritableFile>* out,
                                    rocksdb::IODebugContext* d) override {
    rocksdb::IOStatus status = plan_.next();
    if (status.ok()) status = FileSystemWrapper::NewWritableFile(name, o, out, d);
    if (status.ok()) *out = std::make_unique<FailingWritableFile>(std::move(*out), plan_);
    return status;
  }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& o,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                        rocksdb::IODebugContext* d) override {
    rocksdb::IOStatus status = plan_.next();
    if (status.ok()) status = FileSystemWrapper::NewRandomAccessFile(name, o, out, d);
    if (status.ok()) *out = std::make_unique<FailingReadableFile>(std::move(*out), plan_);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& o, rocksdb::IODebugContext* d) override {
    const rocksdb::IOStatus planned = plan_.next();
    return planned.ok() ? FileSystemWrapper::RenameFile(from, to, o, d) : planned;
  }

 private:
  FaultPlan& plan_;
};

// An environment whose files fail by plan.
class FailingEnv {
 public:
  FailingEnv() : env_(rocksdb::NewCompositeEnv(std::make_shared<FailingFileSystem>(plan_))) {}
  FaultPlan& plan() { return plan_; }
  rocksdb::Env* env() { return env_.get(); }

 private:
  FaultPlan plan_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace spolia::test
