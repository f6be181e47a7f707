#include "server/store/io/disk_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "codec/base/aligned_buffer.h"
#include "codec/base/check.h"
#include "server/store/io/transfer_progress.h"

namespace spolia::store {
namespace {

constexpr mode_t kPrivate = 0600;

template <typename Call>
Status transfer(Call call, uint64_t length, const std::string& what) {
  TransferProgress progress(length);
  for (;;) {
    const ssize_t got = call(progress.done());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return statusOfErrno(errno, what);
    const auto next = progress.moved(static_cast<size_t>(got));
    if (next == TransferProgress::Next::kDone) return Status();
    if (next == TransferProgress::Next::kFailed) {
      return Status(ErrorCode::kIoError, what + ": unexpected end of file");
    }
  }
}

// Asked with a file that has no name and goes at once. What cannot be asked takes it.
bool takesDirect(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, kPrivate);
  if (fd < 0) return errno != EINVAL;
  ::close(fd);
  return true;
}

// A full file system is asked again for every put that wants room. To take what there is and give
// it back takes milliseconds, for which reads would wait.
bool hasRoom(const std::filesystem::path& directory, uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0 || info.f_blocks == 0) return true;  // not told
  return info.f_bavail * info.f_frsize >= bytes;
}

}  // namespace

Status statusOfErrno(int error, const std::string& what) {
  ErrorCode code = ErrorCode::kIoError;
  if (error == ENOSPC || error == EDQUOT) code = ErrorCode::kOutOfSpace;
  if (error == ENOENT) code = ErrorCode::kNotFound;
  return Status(code, what + ": " + std::strerror(error));
}

DiskFiles::DiskFiles(std::filesystem::path directory)
    : directory_(std::move(directory)), direct_(takesDirect(directory_)) {}

DiskFiles::~DiskFiles() {
  for (const File& file : files_) {
    if (file.fd >= 0) ::close(file.fd);
  }
}

Result<std::vector<std::string>> DiskFiles::list() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    names.push_back(entry.path().filename());
  }
  if (error) return statusOfErrno(error.value(), directory_.string());
  return names;
}

Result<FileHandle> DiskFiles::openWith(const std::string& name, int flags) {
  const std::string path = directory_ / name;
  if (direct_) flags |= O_DIRECT;
  int fd = ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC, kPrivate);
  // File systems without files that have no name may refuse it only now.
  if (fd < 0 && errno == EINVAL) {
    fd = ::open(path.c_str(), (flags & ~O_DIRECT) | O_RDWR | O_CLOEXEC, kPrivate);
  }
  if (fd < 0) return statusOfErrno(errno, path);
  files_.push_back({fd, name});
  return FileHandle{static_cast<int32_t>(files_.size() - 1)};
}

Result<FileHandle> DiskFiles::open(const std::string& name) {
  return openWith(name, 0);
}

Result<uint64_t> DiskFiles::size(FileHandle file) const {
  struct stat info;
  if (::fstat(descriptor(file), &info) != 0) return statusOfErrno(errno, nameOf(file));
  return static_cast<uint64_t>(info.st_size);
}

Status DiskFiles::syncDirectory() const {
  const int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return statusOfErrno(errno, directory_.string());
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  return failed ? statusOfErrno(failed, directory_.string()) : Status();
}

Result<FileHandle> DiskFiles::create(const std::string& name, uint64_t bytes, ByteSpan first) {
  const std::string temporary = name + ".tmp";
  if (!hasRoom(directory_, bytes)) return statusOfErrno(ENOSPC, name);
  ::unlink((directory_ / temporary).c_str());  // what a crash left
  SPOLIA_ASSIGN_OR_RETURN(FileHandle file, openWith(temporary, O_CREAT | O_EXCL));
  const int fd = descriptor(file);
  Status status;
  const int failed = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (failed != 0) status = statusOfErrno(failed, temporary);
  if (status.ok()) status = writeNow(file, 0, first);
  if (status.ok() && ::fsync(fd) != 0) status = statusOfErrno(errno, temporary);
  if (status.ok() && ::rename((directory_ / temporary).c_str(), (directory_ / name).c_str()) != 0) {
    status = statusOfErrno(errno, temporary);
  }
  if (status.ok()) status = syncDirectory();
  if (!status.ok()) {
    // Closed as well, or it kept the blocks that it got before there were no more.
    ::unlink((directory_ / temporary).c_str());
    ::close(fd);
    files_.pop_back();
    return status;
  }
  files_[static_cast<size_t>(file.value)].name = name;
  return file;
}

Status DiskFiles::remove(FileHandle file) {
  File& which = files_[static_cast<size_t>(file.value)];
  if (::unlink((directory_ / which.name).c_str()) != 0) return statusOfErrno(errno, which.name);
  SPOLIA_RETURN_IF_ERROR(syncDirectory());
  ::close(std::exchange(which.fd, -1));
  return Status();
}

Status DiskFiles::readNow(FileHandle file, uint64_t offset, MutableByteSpan out) const {
  return transfer(
      [&](uint64_t done) {
        return ::pread(descriptor(file), out.data() + done, out.size() - done,
                       static_cast<off_t>(offset + done));
      },
      out.size(), nameOf(file));
}

Status DiskFiles::writeNow(FileHandle file, uint64_t offset, ByteSpan data) const {
  return transfer(
      [&](uint64_t done) {
        return ::pwrite(descriptor(file), data.data() + done, data.size() - done,
                        static_cast<off_t>(offset + done));
      },
      data.size(), nameOf(file));
}

Status DiskFiles::syncNow(FileHandle file) const {
  if (::fdatasync(descriptor(file)) != 0) return statusOfErrno(errno, nameOf(file));
  return Status();
}

}  // namespace spolia::store
