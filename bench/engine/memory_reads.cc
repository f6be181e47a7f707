#include "bench/engine/memory_reads.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "codec/base/aligned_buffer.h"

namespace spolia::engine {

namespace {

constexpr size_t kPiece = size_t{256} << 10;
constexpr size_t kPieces = 4096;

// Eight sums at a time keep up with memory on any processor.
uint64_t sumOf(const std::byte* bytes) {
  std::array<uint64_t, 8> sums{}, values;
  for (size_t i = 0; i < kPiece; i += sizeof values) {
    std::memcpy(values.data(), bytes + i, sizeof values);
    for (size_t lane = 0; lane < values.size(); ++lane) sums[lane] += values[lane];
  }
  uint64_t all = 0;
  for (const uint64_t sum : sums) all += sum;
  return all;
}

}  // namespace

double readRate(ThreadPool& pool) {
  AlignedBuffer buffer(kPiece * kPieces);
  std::memset(buffer.data(), 1, buffer.size());
  std::array<double, 5> seconds;
  for (double& time : seconds) {
    const auto start = std::chrono::steady_clock::now();
    pool.parallelFor(kPieces, [&](size_t piece) {
      // Kept, or the compiler would drop the reading.
      [[maybe_unused]] static thread_local volatile uint64_t kept;
      kept = sumOf(buffer.data() + piece * kPiece);
    });
    time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::ranges::sort(seconds);
  return static_cast<double>(buffer.size()) / seconds[2];
}

}  // namespace spolia::engine
