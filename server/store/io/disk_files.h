// The blocking half of a Ring on a real file system, shared by its forms: names, descriptors,
// creation that survives a crash. One thread, the ring's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "server/store/io/ring.h"

namespace spolia::store {

// An errno as a Status: kOutOfSpace for ENOSPC and EDQUOT, kNotFound for ENOENT, else kIoError.
Status statusOfErrno(int error, const std::string& what);

class DiskFiles {
 public:
  explicit DiskFiles(std::filesystem::path directory);
  ~DiskFiles();
  DiskFiles(const DiskFiles&) = delete;
  DiskFiles& operator=(const DiskFiles&) = delete;

  Result<std::vector<std::string>> list() const;
  Result<FileHandle> open(const std::string& name);
  Result<uint64_t> size(FileHandle file) const;
  Result<FileHandle> create(const std::string& name, uint64_t bytes, ByteSpan first);
  Status remove(FileHandle file);
  Status readNow(FileHandle file, uint64_t offset, MutableByteSpan out) const;
  Status writeNow(FileHandle file, uint64_t offset, ByteSpan data) const;
  Status syncNow(FileHandle file) const;

  // False where the file system refuses O_DIRECT: files are buffered then.
  bool direct() const { return direct_; }
  int descriptor(FileHandle file) const { return files_[static_cast<size_t>(file.value)].fd; }

 private:
  struct File {
    int fd;
    std::string name;
  };
  Result<FileHandle> openWith(const std::string& name, int flags);
  Status syncDirectory() const;
  std::string nameOf(FileHandle file) const { return files_[static_cast<size_t>(file.value)].name; }

  const std::filesystem::path directory_;
  const bool direct_;
  std::vector<File> files_;
};

// The blocking half of a Ring over DiskFiles; what a real ring has left to do is the asynchronous
// one.
class DiskRing : public Ring {
 public:
  std::string missing() const override {
    return files_.direct() ? "" : "O_DIRECT: refused by the file system, files are buffered";
  }
  Result<std::vector<std::string>> list() final { return files_.list(); }
  Result<FileHandle> open(const std::string& name) final { return files_.open(name); }
  Result<uint64_t> size(FileHandle file) final { return files_.size(file); }
  Result<FileHandle> create(const std::string& name, uint64_t bytes, ByteSpan first) final {
    return files_.create(name, bytes, first);
  }
  Status remove(FileHandle file) final { return files_.remove(file); }
  Status readNow(FileHandle file, uint64_t offset, MutableByteSpan out) final {
    return files_.readNow(file, offset, out);
  }
  Status writeNow(FileHandle file, uint64_t offset, ByteSpan data) final {
    return files_.writeNow(file, offset, data);
  }
  Status syncNow(FileHandle file) final { return files_.syncNow(file); }

 protected:
  explicit DiskRing(const std::filesystem::path& directory) : files_(directory) {}

  DiskFiles files_;
};

}  // namespace spolia::store
