#include "bench/codec/baselines/zstd_scheme.h"

#include <zstd.h>

#include "bench/codec/baselines/halves.h"
#include "codec/base/bytes.h"
#include "codec/base/check.h"

namespace spolia::bench {

namespace {

constexpr int kLevel = 19;

Bytes compressed(ByteSpan data) {
  Bytes out(ZSTD_compressBound(data.size()));
  const size_t size = ZSTD_compress(out.data(), out.size(), data.data(), data.size(), kLevel);
  SPOLIA_CHECK(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

Bytes decompressed(ByteSpan data, size_t size) {
  Bytes out(size);
  SPOLIA_CHECK(ZSTD_decompress(out.data(), size, data.data(), data.size()) == size);
  return out;
}

}  // namespace

std::string ZstdScheme::name() const {
  return std::string(order_ == Order::kPlain ? "zstd-" : "zstd-planes-") +
         std::string(codec::elementTypeName(type_));
}

Status ZstdScheme::calibrate(std::span<const KvSample> /*samples*/, const KvShape& shape) {
  shape_ = shape;
  return Status();
}

size_t ZstdScheme::placeOfByte(size_t token, size_t column, size_t half, size_t tokens) const {
  const size_t channels = shape_.channels();
  if (order_ == Order::kBytePlanes) {
    return (half * shape_.columns() + column) * tokens + token;
  }
  const size_t plane = column / channels;
  return 2 * ((plane * tokens + token) * channels + column % channels) + half;
}

Outcome ZstdScheme::code(const KvSample& sample, double /*quality*/) const {
  const size_t columns = shape_.columns(), tokens = sample.values.size() / columns;
  Bytes bytes(2 * sample.values.size());
  for (size_t i = 0; i < sample.values.size(); ++i) {
    const uint16_t half = halfFrom(sample.values[i], type_);
    bytes[placeOfByte(i / columns, i % columns, 0, tokens)] = static_cast<std::byte>(half & 0xff);
    bytes[placeOfByte(i / columns, i % columns, 1, tokens)] = static_cast<std::byte>(half >> 8);
  }
  const Bytes stream = compressed(bytes);
  const Bytes decoded = decompressed(stream, bytes.size());
  Outcome out{stream.size(), std::vector<float>(sample.values.size())};
  for (size_t i = 0; i < sample.values.size(); ++i) {
    const auto low =
        static_cast<uint32_t>(decoded[placeOfByte(i / columns, i % columns, 0, tokens)]);
    const auto top =
        static_cast<uint32_t>(decoded[placeOfByte(i / columns, i % columns, 1, tokens)]);
    out.restored[i] = fromHalf(static_cast<uint16_t>(top << 8 | low), type_);
  }
  return out;
}

}  // namespace spolia::bench
