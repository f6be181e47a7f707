#include "bench/codec/baselines/cachegen_released_scheme.h"

#include <algorithm>
#include <cmath>

#include "bench/codec/baselines/bit_packing.h"
#include "bench/codec/baselines/range_coder.h"

namespace spolia::bench {

namespace {

constexpr double kManyBins = 32, kFewBins = 16;
constexpr double kShareOfManyInK = 10.0 / 32, kShareOfManyInV = 2.0 / 32;

}  // namespace

Status CacheGenReleasedScheme::calibrate(std::span<const KvSample> /*samples*/,
                                         const KvShape& shape) {
  shape_ = shape;
  return Status();
}

uint32_t CacheGenReleasedScheme::halfOf(size_t plane, double quality) const {
  const double share = plane % 2 == 0 ? kShareOfManyInK : kShareOfManyInV;
  const bool many = static_cast<double>(plane / 2) < std::ceil(share * shape_.layers);
  const double bins = std::round((many ? kManyBins : kFewBins) * quality);
  return static_cast<uint32_t>(std::max(bins, 4.0)) / 2 - 1;
}

Outcome CacheGenReleasedScheme::code(const KvSample& sample, double quality) const {
  const size_t columns = shape_.columns(), channels = shape_.channels();
  const size_t tokens = sample.values.size() / columns, planes = 2 * size_t{shape_.layers};
  BitWriter side;
  std::vector<float> scales(tokens * planes);  // [token][plane], as they will be read
  std::vector<uint32_t> levels(sample.values.size());
  for (size_t i = 0; i < scales.size(); ++i) {
    const float* row = sample.values.data() + i * channels;
    float largest = 0;
    for (size_t c = 0; c < channels; ++c) largest = std::max(largest, std::abs(row[c]));
    scales[i] = side.putHalf(largest);
    const auto half = static_cast<float>(halfOf(i % planes, quality));
    for (size_t c = 0; c < channels; ++c) {
      const float level = scales[i] > 0 ? std::round(row[c] * half / scales[i]) : 0;
      levels[i * channels + c] = static_cast<uint32_t>(std::clamp(level, -half, half) + half);
    }
  }

  RangeEncoder encoder;
  for (size_t column = 0; column < columns; ++column) {
    // bins + 1 limits of 16 bits, as published; the last one, 2^16, reads as zero.
    const size_t bins = 2 * (halfOf(column / channels, quality) + 1);
    std::vector<uint32_t> counts(bins);
    for (size_t t = 0; t < tokens; ++t) ++counts[levels[t * columns + column]];
    const SymbolTable table(counts, 0);
    for (const uint32_t start : table.starts()) side.put(start & 0xffff, 16);
    for (size_t t = 0; t < tokens; ++t) table.encode(levels[t * columns + column], encoder);
  }
  const Bytes tables = side.finish(), stream = encoder.finish();

  Outcome out{tables.size() + stream.size(), std::vector<float>(sample.values.size())};
  BitReader reader(tables);
  for (float& scale : scales) scale = reader.getHalf();
  RangeDecoder decoder(stream);
  for (size_t column = 0; column < columns; ++column) {
    const size_t plane = column / channels;
    const uint32_t half = halfOf(plane, quality);
    std::vector<uint32_t> starts(2 * (half + 1) + 1);
    for (uint32_t& start : starts) start = reader.get(16);
    starts.back() = kProbabilityTotal;
    const SymbolTable table(std::move(starts));
    for (size_t t = 0; t < tokens; ++t) {
      const float level = static_cast<float>(table.decode(decoder)) - static_cast<float>(half);
      out.restored[t * columns + column] =
          level * scales[t * planes + plane] / static_cast<float>(half);
    }
  }
  return out;
}

}  // namespace spolia::bench
