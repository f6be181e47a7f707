#include "server/store/index/read_together.h"

#include <rocksdb/file_system.h>

#include <string>
#include <utility>

namespace spolia::store {
namespace {

using rocksdb::FSReadRequest;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class ReadTogetherFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  using FSRandomAccessFileOwnerWrapper::FSRandomAccessFileOwnerWrapper;

  // Prefetch() is readahead(2), which starts a read into the page cache and returns. What fails
  // there is found by the read itself.
  IOStatus MultiRead(FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    for (size_t i = 0; count > 1 && i < count; ++i) {
      Prefetch(requests[i].offset, requests[i].len, options, debug).PermitUncheckedError();
    }
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, debug);
  }
};

class ReadTogetherFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "ReadTogether"; }

  IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
    if (status.ok()) *file = std::make_unique<ReadTogetherFile>(std::move(*file));
    return status;
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> readTogetherEnv(rocksdb::Env* base) {
  return rocksdb::NewCompositeEnv(std::make_shared<ReadTogetherFileSystem>(base->GetFileSystem()));
}

}  // namespace spolia::store
