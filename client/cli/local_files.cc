#include "client/cli/local_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace spolia::cli {
namespace {

class OpenFile {
 public:
  OpenFile(int fd, bool owned) : fd_(fd), owned_(owned) {}
  ~OpenFile() {
    if (owned_ && fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
  const bool owned_;
};

Status failure(ErrorCode code, const std::string& path) {
  return {code, path + ": " + std::strerror(errno)};
}

Status writeAll(int fd, const std::string& path, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(ErrorCode::kIoError, path);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<AlignedBuffer> readFile(const std::string& path, size_t limit) {
  const bool standard = path == "-";
  const OpenFile file(standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC),
                      !standard);
  if (file.get() < 0) return failure(ErrorCode::kInvalidArgument, path);
  Bytes bytes;
  std::vector<std::byte> buffer(1u << 20);
  while (true) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(ErrorCode::kIoError, path);
    if (n == 0) return AlignedBuffer::copyOf(bytes);
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + n);
    if (bytes.size() > limit) {
      return Status(ErrorCode::kInvalidArgument,
                    path + ": larger than the " + std::to_string(limit) + " bytes of an entry");
    }
  }
}

Status writeFile(const std::string& path, ByteSpan bytes) {
  if (path == "-") return writeAll(STDOUT_FILENO, "stdout", bytes);
  const std::string fresh = path + ".part";
  {
    const OpenFile file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
                        true);
    if (file.get() < 0) return failure(ErrorCode::kIoError, fresh);
    if (Status written = writeAll(file.get(), fresh, bytes); !written.ok()) {
      ::unlink(fresh.c_str());
      return written;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure(ErrorCode::kIoError, path);
  return {};
}

Result<std::string> readToken(const std::string& path) {
  if (path.empty()) return std::string();
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return failure(ErrorCode::kInvalidArgument, path).withContext("--token-file");
  }
  if (S_ISREG(info.st_mode) && (info.st_mode & 0007) != 0) {
    return Status(ErrorCode::kInvalidArgument,
                  "--token-file: " + path + ": others on this machine can use it; chmod 600");
  }
  SPOLIA_ASSIGN_OR_RETURN(const AlignedBuffer bytes, readFile(path, 1u << 16));
  const std::string_view text = asText(bytes.span());
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  if (line.empty()) {
    return Status(ErrorCode::kInvalidArgument,
                  "--token-file: " + path + ": expected the token on the first line");
  }
  return std::string(line);
}

}  // namespace spolia::cli
