// The workload of the kill test, known to the process that is killed and to the one that checks:
// what value each version of a key has, and the lines by which the first tells the second what it
// is about to do and what was acknowledged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "server/store/store.h"

namespace spolia::test {

// The store that it works on, and so many keys. One that evicts has room for about half of them, in
// few segments, so that it cleans all the time.
struct Workload {
  bool evicts = false;
  uint64_t keys() const { return evicts ? 192 : 24; }
  store::StoreConfig config(const std::filesystem::path& directory) const {
    store::StoreConfig config;
    config.directory = directory;
    config.segmentBytes = evicts ? 1 << 20 : 4 << 20;
    config.capacityBytes = evicts ? 7 << 20 : 64 << 20;
    config.eviction = evicts ? "value" : "none";
    return config;
  }
};

inline StoreKey workloadKey(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

// Version 0 is absence.
inline Bytes workloadValue(uint64_t key, uint64_t version) {
  std::mt19937_64 random(key << 32 | version);
  Bytes out(1 + random() % 60000);
  for (std::byte& b : out) b = static_cast<std::byte>(random());
  return out;
}

// One message in the pipe; smaller than PIPE_BUF, so written whole or not at all.
struct WorkloadEvent {
  enum Kind : uint64_t { kIntent, kAcknowledged, kFailed };
  uint64_t kind;
  uint64_t operation;  // counts within one life of the process
  uint64_t key;
  uint64_t version;
};

}  // namespace spolia::test
