#include "bench/store/numbered_records.h"

#include <cstring>

namespace spolia::bench {
namespace {

constexpr uint64_t kLongest = 8 << 20;
constexpr uint64_t kShift = 4096;  // payloads begin at different places of the noise

}  // namespace

NumberedRecords::NumberedRecords(uint64_t payloadBytes)
    : payloadBytes_(payloadBytes), noise_(std::max(payloadBytes, kLongest) + 64 * kShift) {
  for (uint64_t at = 0; at + 8 <= noise_.size(); at += 8) {
    const uint64_t bits = scrambled(at);
    std::memcpy(noise_.data() + at, &bits, sizeof bits);
  }
}

uint64_t NumberedRecords::bytesOf(uint64_t number) const {
  if (payloadBytes_ != 0) return payloadBytes_;
  const uint64_t tenth = scrambled(number) % 10;
  if (tenth < 5) return 256 << 10;
  return tenth < 9 ? 1 << 20 : kLongest;
}

AlignedBuffer NumberedRecords::payload(uint64_t number) const {
  AlignedBuffer out =
      AlignedBuffer::copyOf(noise_.span().subspan(number % 64 * kShift, bytesOf(number)));
  std::memcpy(out.data(), &number, sizeof number);
  return out;
}

bool NumberedRecords::matches(uint64_t number, ByteSpan payload) const {
  uint64_t found = 0;
  if (payload.size() != bytesOf(number)) return false;
  std::memcpy(&found, payload.data(), sizeof found);
  return found == number;
}

uint64_t NumberedRecords::firstWithin(uint64_t bytes, uint64_t end) const {
  uint64_t first = end, sum = 0;
  while (first > 0 && sum + bytesOf(first - 1) <= bytes) sum += bytesOf(--first);
  return first;
}

std::vector<uint64_t> randomNumbers(uint64_t first, uint64_t end, uint64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<uint64_t> out;
  for (uint64_t i = 0; i < count; ++i) out.push_back(first + random.below(end - first));
  return out;
}

}  // namespace spolia::bench
