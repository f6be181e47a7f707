// A KvSource that fails, damages, holds back and reorders answers as a test says. Answers are
// given by a thread of its own, each time one drawn by the seed from those that wait.
#pragma once

#include <condition_variable>
#include <functional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/linker/memory_kv_source.h"

namespace spolia::engine {

enum class Fault {
  kNone,
  kNotFound,
  kUnavailable,
  kCorruptFrame,  // a bit of a frame differs
  kFewerFrames,   // the last frame is left out
  kOtherHeader,   // the header of another chunk
  kHeld,          // answered after release() only
};

class FakeKvSource : public KvSource {
 public:
  // Which fault befalls the `nth` request (counted from 0) of this kind.
  using Faults = std::function<Fault(const ChunkId& id, uint32_t nth)>;

  explicit FakeKvSource(uint32_t seed) : rng_(seed), thread_([this] { deliver(); }) {}
  ~FakeKvSource() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      releaseLocked();
    }
    changed_.notify_all();
    thread_.join();
  }

  // Set before requests are made.
  Faults onOpen = [](const ChunkId&, uint32_t) { return Fault::kNone; };
  Faults onFetch = [](const ChunkId&, uint32_t) { return Fault::kNone; };
  Faults onValue = [](const ChunkId&, uint32_t) { return Fault::kNone; };

  MemoryKvSource& stored() { return stored_; }
  uint32_t opens() const { return opens_; }
  uint32_t fetches() const { return fetches_; }
  uint32_t valueRequests() const { return valueRequests_; }

  // Lets held answers go.
  void release() {
    std::lock_guard lock(mutex_);
    releaseLocked();
    changed_.notify_all();
  }

  void submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    codec::ChunkQueue direct;
    stored_.submitOpen(id, cookie, direct);
    answer(onOpen(id, opens_++), direct.waitPop(), queue);
  }
  void submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    codec::ChunkQueue direct;
    stored_.submitFetch(id, range, cookie, direct);
    answer(onFetch(id, fetches_++), direct.waitPop(), queue);
  }
  void submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                   codec::ChunkQueue& queue) override {
    stored_.submitStore(std::move(stream), mode, cookie, queue);
  }
  void submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    stored_.submitRemove(id, cookie, queue);
  }
  void submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) override {
    stored_.submitPutValue(std::move(value), cookie, queue);
  }
  void submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) override {
    codec::ChunkQueue direct;
    stored_.submitGetValue(id, cookie, direct);
    answer(onValue(id, valueRequests_++), direct.waitPop(), queue);
  }
  Result<codec::EntryPage> list(codec::EntryKind kind, const std::string& cursor,
                                size_t limit) override {
    return stored_.list(kind, cursor, limit);
  }
  Result<codec::StoreStats> stats() override { return stored_.stats(); }

  // The header that Fault::kOtherHeader gives.
  std::shared_ptr<const codec::StreamHeader> otherHeader;

 private:
  struct Pending {
    codec::ChunkCompletion done;
    codec::ChunkQueue* queue;
  };

  void answer(Fault fault, codec::ChunkCompletion done, codec::ChunkQueue& queue) {
    if (fault == Fault::kNotFound || fault == Fault::kUnavailable) {
      const uint64_t cookie = done.cookie;
      done = {};
      done.cookie = cookie;
      done.status = fault == Fault::kNotFound ? Status(ErrorCode::kNotFound, "no such chunk")
                                              : Status(ErrorCode::kUnavailable, "gone");
    }
    if (fault == Fault::kCorruptFrame && !done.bytes.empty()) {
      done.bytes.data()[done.bytes.size() / 2] ^= std::byte{4};
    }
    if (fault == Fault::kFewerFrames && !done.frames.empty()) done.frames.pop_back();
    if (fault == Fault::kOtherHeader) done.header = otherHeader;
    std::lock_guard lock(mutex_);
    (fault == Fault::kHeld ? held_ : pending_).push_back({std::move(done), &queue});
    changed_.notify_all();
  }

  void releaseLocked() {
    for (Pending& pending : held_) pending_.push_back(std::move(pending));
    held_.clear();
  }

  void deliver() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
      if (pending_.empty()) return;
      std::swap(pending_[rng_() % pending_.size()], pending_.back());
      Pending next = std::move(pending_.back());
      pending_.pop_back();
      lock.unlock();
      next.queue->push(std::move(next.done));
      lock.lock();
    }
  }

  MemoryKvSource stored_;
  std::atomic<uint32_t> opens_{0}, fetches_{0}, valueRequests_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937 rng_;              // under mutex_
  std::vector<Pending> pending_;  // under mutex_
  std::vector<Pending> held_;     // under mutex_
  bool stopping_ = false;         // under mutex_
  std::thread thread_;
};

}  // namespace spolia::engine
