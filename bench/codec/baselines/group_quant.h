// A group of values as whole steps above its least one: step and least as fp16, then a few bits a
// value. What int8, int4 and KIVI are made of. Any thread.
#pragma once

#include <cstddef>

#include "bench/codec/baselines/bit_packing.h"

namespace spolia::bench {

// `count` values, `stride` apart.
struct ValueGroup {
  size_t first = 0;
  size_t count = 0;
  size_t stride = 1;
};

void writeGroup(const float* values, const ValueGroup& group, unsigned bits, BitWriter& out);
void readGroup(BitReader& in, const ValueGroup& group, unsigned bits, float* values);

// The same as plain fp16.
void writeHalves(const float* values, const ValueGroup& group, BitWriter& out);
void readHalves(BitReader& in, const ValueGroup& group, float* values);

}  // namespace spolia::bench
