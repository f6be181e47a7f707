#include "server/service/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace spolia::service {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

Status failure(ErrorCode code, const std::filesystem::path& path, int error) {
  return {code, path.string() + ": " + std::strerror(error)};
}

Status writeAll(int fd, const std::filesystem::path& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(ErrorCode::kIoError, path, errno);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string> readSmallFile(const std::filesystem::path& path, size_t limit) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failure(ErrorCode::kInvalidArgument, path, errno);
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(ErrorCode::kIoError, path, errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > limit) {
      return Status(ErrorCode::kInvalidArgument,
                    path.string() + ": larger than " + std::to_string(limit) + " bytes");
    }
  }
}

Status replaceSmallFile(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path fresh = path;
  fresh += ".tmp";
  {
    const File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return failure(ErrorCode::kIoError, fresh, errno);
    SPOLIA_RETURN_IF_ERROR(writeAll(file.get(), fresh, content));
    if (::fsync(file.get()) != 0) return failure(ErrorCode::kIoError, fresh, errno);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure(ErrorCode::kIoError, path, errno);
  const File folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) {
    return failure(ErrorCode::kIoError, path.parent_path(), errno);
  }
  return {};
}

}  // namespace spolia::service
