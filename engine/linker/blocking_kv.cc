#include "engine/linker/blocking_kv.h"

namespace spolia::engine {

Result<codec::ChunkCompletion> BlockingKv::wait() {
  codec::ChunkCompletion done = queue_.waitPop();
  if (!done.status.ok()) return done.status;
  return done;
}

Result<codec::ChunkCompletion> BlockingKv::open(const ChunkId& id) {
  source_.submitOpen(id, 0, queue_);
  return wait();
}

Result<codec::ChunkCompletion> BlockingKv::getValue(const ChunkId& id) {
  source_.submitGetValue(id, 0, queue_);
  return wait();
}

Status BlockingKv::putManifest(const ChunkId& id, const std::string& label, AlignedBuffer bytes) {
  source_.submitPutManifest(id, label, std::move(bytes), 0, queue_);
  return wait().status();
}

Status BlockingKv::remove(const ChunkId& id) {
  source_.submitRemove(id, 0, queue_);
  const Status status = wait().status();
  return status.code() == ErrorCode::kNotFound ? Status() : status;
}

}  // namespace spolia::engine
