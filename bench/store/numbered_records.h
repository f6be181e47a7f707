// The records of the store's benchmarks: a number says how long a record is and what it holds, so
// that processes and engines agree without a list. Value types; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/numbered_keys.h"
#include "codec/base/aligned_buffer.h"
#include "codec/base/bytes.h"

namespace spolia::bench {

// One step's work, by whichever engine.
struct Load {
  uint64_t operations = 0;
  uint64_t bytes = 0;  // of payloads
  double seconds = 0;
  double cpuSeconds = 0;  // of the process, all threads
  double bytesPerSecond = 0;
};

class NumberedRecords {
 public:
  static constexpr uint64_t kPrepared = 1 << 30;  // bytes of payloads that a load makes at a time

  // Bytes of every payload; 0: one half 256 KiB, four tenths 1 MiB, one tenth 8 MiB.
  explicit NumberedRecords(uint64_t payloadBytes);

  uint64_t bytesOf(uint64_t number) const;
  // The payload apart from its first 8 bytes, which are the number; incompressible.
  AlignedBuffer payload(uint64_t number) const;
  // Whether these are the payload's length and first bytes.
  bool matches(uint64_t number, ByteSpan payload) const;
  // The first of those before `end` that together have no more than so many bytes.
  uint64_t firstWithin(uint64_t bytes, uint64_t end) const;

 private:
  const uint64_t payloadBytes_;
  AlignedBuffer noise_;
};

// `count` random numbers of [first, end); the same for the same seed.
std::vector<uint64_t> randomNumbers(uint64_t first, uint64_t end, uint64_t count, uint64_t seed);

}  // namespace spolia::bench
