// A small store with entries in it, for tests of what reads stores.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "server/store/store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::test {

inline StoreKey storeKey(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

inline Bytes storePayload(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  Bytes out(size);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random();
    std::memcpy(out.data() + i, &word, std::min<size_t>(8, size - i));
  }
  return out;
}

class FilledStore {
 public:
  FilledStore() {
    config_.directory = directory_.path() / "store";
    config_.segmentBytes = 4 << 20;
    config_.capacityBytes = 34 << 20;
  }

  store::StoreConfig& config() { return config_; }
  store::Store& store() { return *store_; }
  std::filesystem::path segments() const { return config_.directory / "segments"; }

  void open() {
    auto opened = store::Store::open(config_);
    ASSERT_TRUE(opened.ok()) << opened.status().toString();
    store_ = std::move(*opened);
  }
  void close() { store_.reset(); }

  void put(uint64_t key, size_t bytes) {
    store::PutRequest request;
    request.meta.key = storeKey(key);
    request.meta.attributes = storePayload(key, 40);
    request.payload = AlignedBuffer::copyOf(storePayload(key, bytes));
    request.policy = store::PutPolicy::kReplace;
    store_->submitPut(std::move(request), key, queue_);
    EXPECT_TRUE(queue_.waitPop().status.ok());
  }
  store::StoreCompletion get(uint64_t key) {
    store_->submitGet(storeKey(key), 0, UINT64_MAX, key, queue_);
    return queue_.waitPop();
  }
  store::StoreCompletion remove(uint64_t key) {
    store_->submitRemove(storeKey(key), key, queue_);
    return queue_.waitPop();
  }

 private:
  TemporaryDirectory directory_;
  store::StoreConfig config_;
  store::StoreQueue queue_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace spolia::test
