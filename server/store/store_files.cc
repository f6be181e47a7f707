#include "server/store/store_files.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

#include "codec/base/bytes.h"
#include "codec/base/checksum.h"
#include "server/store/io/disk_files.h"
#include "server/store/recovery.h"
#include "server/store/segments/segment_format.h"

namespace spolia::store {
namespace {

constexpr char kStoreFile[] = "STORE";
constexpr char kLockFile[] = "LOCK";
constexpr char kMagic[] = "spolia-store";
constexpr char kClockFile[] = "CLOCK";
constexpr char kClockMagic[] = "spolia-clock";
constexpr int kClockVersion = 1;
constexpr char kNoBootId[] = "-";

// "spolia-store VERSION EPOCH\n"
struct StoreFile {
  uint32_t version = kFormatVersion;
  uint32_t epoch = 0;
};

Result<StoreFile> readStoreFile(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kStoreFile;
  std::ifstream in(path);
  std::error_code error;
  if (!in && !std::filesystem::exists(path, error) && !error) return StoreFile{};
  if (!in) return Status(ErrorCode::kIoError, path.string() + ": cannot be read");
  std::string magic;
  StoreFile file;
  in >> magic >> file.version >> file.epoch;
  if (!in || magic != kMagic) {
    return Status(ErrorCode::kCorrupt,
                  path.string() + ": expected \"" + kMagic + " VERSION EPOCH\"");
  }
  return file;
}

Status writeWhole(int fd, const std::string& text, const std::string& path) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return statusOfErrno(errno, path);
  }
  return ::fsync(fd) == 0 ? Status() : statusOfErrno(errno, path);
}

Status replaceDurably(const std::filesystem::path& directory, const char* name,
                      const std::string& text) {
  const std::string path = directory / name;
  const std::string temporary = path + ".tmp";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return statusOfErrno(errno, temporary);
  Status status = writeWhole(fd, text, temporary);
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = statusOfErrno(errno, path);
  }
  SPOLIA_RETURN_IF_ERROR(status);
  const int parent = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return statusOfErrno(errno, directory.string());
  if (::fsync(parent) != 0) status = statusOfErrno(errno, directory.string());
  ::close(parent);
  return status;
}

// "spolia-clock 1 BOOT_ID OFFSET LATEST XXH3\n"
std::string clockLine(const ClockState& state) {
  std::ostringstream text;
  text << kClockMagic << ' ' << kClockVersion << ' '
       << (state.bootId.empty() ? kNoBootId : state.bootId) << ' ' << state.offsetMs << ' '
       << state.latestMs;
  const uint64_t checksum = xxh3(asBytes(text.str()));
  text << ' ' << checksum << '\n';
  return text.str();
}

std::string programName() {
  std::ifstream in("/proc/self/comm");
  std::string name;
  std::getline(in, name);
  return name.empty() ? "unknown program" : name;
}

std::string holderOf(int fd) {
  char text[256];
  const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : "another process";
}

}  // namespace

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<DirectoryLock> DirectoryLock::acquire(const std::filesystem::path& directory) {
  const std::string path = directory / kLockFile;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return statusOfErrno(errno, path);
  DirectoryLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return statusOfErrno(errno, path);
    return Status(ErrorCode::kUnavailable,
                  "store " + directory.string() + " is in use by " + holderOf(fd));
  }
  const std::string self = "process " + std::to_string(::getpid()) + " (" + programName() + ")";
  if (::ftruncate(fd, 0) != 0) return statusOfErrno(errno, path);
  if (::pwrite(fd, self.data(), self.size(), 0) != static_cast<ssize_t>(self.size())) {
    return statusOfErrno(errno, path);
  }
  return lock;
}

Status makePrivateDirectory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory.parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) == 0) return Status();
  if (errno == EEXIST && std::filesystem::is_directory(directory, error)) return Status();
  if (errno == EEXIST || errno == ENOTDIR) {
    return Status(ErrorCode::kInvalidArgument, directory.string() + " is not a directory");
  }
  return statusOfErrno(errno, directory.string());
}

Result<uint64_t> longestSegment(const std::filesystem::path& segments) {
  uint64_t longest = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(segments, error)) {
    if (!segmentIdOf(file.path().filename().string())) continue;
    const uintmax_t bytes = file.file_size(error);
    if (error) break;
    longest = std::max<uint64_t>(longest, bytes);
  }
  if (error) return Status(ErrorCode::kIoError, segments.string() + ": " + error.message());
  return longest;
}

Status checkStoreFormat(const std::filesystem::path& directory) {
  SPOLIA_ASSIGN_OR_RETURN(const StoreFile file, readStoreFile(directory));
  if (file.version <= kFormatVersion) return Status();
  return Status(ErrorCode::kUnsupported,
                (directory / kStoreFile).string() + ": store format version " +
                    std::to_string(file.version) + ", this program knows up to " +
                    std::to_string(kFormatVersion));
}

Result<uint32_t> nextEpoch(const std::filesystem::path& directory, uint32_t latest) {
  SPOLIA_ASSIGN_OR_RETURN(StoreFile file, readStoreFile(directory));
  file.epoch = std::max(file.epoch, latest) + 1;
  std::ostringstream text;
  text << kMagic << ' ' << kFormatVersion << ' ' << file.epoch << '\n';
  SPOLIA_RETURN_IF_ERROR(replaceDurably(directory, kStoreFile, text.str()));
  return file.epoch;
}

Result<std::optional<ClockState>> readClock(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kClockFile;
  std::ifstream in(path);
  std::error_code error;
  if (!in && !std::filesystem::exists(path, error) && !error) return std::optional<ClockState>();
  if (!in) return Status(ErrorCode::kIoError, path.string() + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  std::istringstream words(text.str());
  std::string magic, version;
  ClockState state;
  words >> magic >> version >> state.bootId >> state.offsetMs >> state.latestMs;
  if (state.bootId == kNoBootId) state.bootId.clear();
  if (!words || text.str() != clockLine(state)) {
    return Status(ErrorCode::kCorrupt, path.string() + ": expected \"" + kClockMagic +
                                           " 1 BOOT_ID OFFSET LATEST CHECKSUM\"");
  }
  return std::optional(std::move(state));
}

Status writeClock(const std::filesystem::path& directory, const ClockState& state) {
  return replaceDurably(directory, kClockFile, clockLine(state));
}

Result<std::unique_ptr<StoreClock>> startClock(const std::filesystem::path& directory,
                                               const std::optional<ClockSources>& sources) {
  Result<std::optional<ClockState>> last = readClock(directory);
  if (!last.ok()) {
    spdlog::warn("{}; entries expire by the wall clock", last.status().message());
    last = std::optional<ClockState>();
  }
  auto clock = std::make_unique<StoreClock>(
      sources ? *sources : ClockSources::ofMachine(), *last,
      [directory](const ClockState& state) { return writeClock(directory, state); });
  SPOLIA_RETURN_IF_ERROR(clock->tick());
  return clock;
}

}  // namespace spolia::store
