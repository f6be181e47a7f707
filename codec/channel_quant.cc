#include "codec/channel_quant.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "codec/symbol_block.h"
#include "codec/values/quant_rows.h"

namespace spolia::codec {
namespace {

constexpr size_t kBf16Bytes = 2;

struct ChannelScales {
  std::vector<float> offset;
  std::vector<float> step;
};

std::vector<float> gather(const PlaneRows<const std::byte>& rows, LayerShape shape,
                          uint32_t tokens) {
  std::vector<float> values(size_t{tokens} * shape.channels());
  float* to = values.data();
  for (uint32_t t = 0; t < tokens; ++t) {
    for (uint32_t h = 0; h < shape.kvHeads; ++h, to += shape.headDim) {
      widenRow(rows.row(h, t), rows.type, shape.headDim, to);
    }
  }
  return values;
}

bool allFinite(const std::vector<float>& values) {
  uint32_t bad = 0;
  for (float v : values) bad |= (std::bit_cast<uint32_t>(v) & 0x7f800000) == 0x7f800000;
  return bad == 0;
}

// The next bf16 value not below a value that is not negative.
float ceilBf16(float f) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(f) + 0xffff) & 0xffff0000);
}

float nearestFiniteBf16(float f) {
  const float limit = f32FromBf16(kMaxBf16Bits);
  return f32FromBf16(bf16FromF32(std::clamp(f, -limit, limit)));
}

// The offset is the middle of the channel's range, so that all symbols serve, also for K, whose
// channels may lie far from zero. Both are rounded to what the frame holds before they are used.
ChannelScales chooseScales(const std::vector<float>& values, uint32_t channels) {
  std::vector<float> low(values.begin(), values.begin() + channels);
  std::vector<float> high = low;
  for (size_t row = channels; row < values.size(); row += channels) {
    for (uint32_t c = 0; c < channels; ++c) {
      low[c] = std::min(low[c], values[row + c]);
      high[c] = std::max(high[c], values[row + c]);
    }
  }
  ChannelScales scales{std::vector<float>(channels), std::vector<float>(channels)};
  for (uint32_t c = 0; c < channels; ++c) {
    scales.offset[c] = nearestFiniteBf16(low[c] / 2 + high[c] / 2);
    // Halves, because the distance of two finite values need not be finite.
    const float half =
        std::max(high[c] / 2 - scales.offset[c] / 2, scales.offset[c] / 2 - low[c] / 2);
    scales.step[c] = ceilBf16(half / kQuantReach * 2);
  }
  return scales;
}

void writeBf16(const std::vector<float>& values, ByteWriter& out) {
  for (float v : values) out.u16(bf16FromF32(v));
}

// False when one is an infinity or a NaN.
bool readBf16(ByteSpan bytes, std::vector<float>& values) {
  values.resize(bytes.size() / kBf16Bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + i * sizeof half, sizeof half);
    values[i] = f32FromBf16(half);
  }
  return allFinite(values);
}

Status decodeRows(SymbolReader& reader, const ChannelScales& scales, const PlaneWrite& to) {
  const uint32_t channels = to.shape.channels();
  const uint32_t slice = sliceTokens(to.shape);
  std::vector<uint8_t> symbols;
  for (uint32_t first = 0; first < to.end; first += slice) {
    const uint32_t tokens = std::min(slice, to.frameTokens - first);
    symbols.resize(size_t{tokens} * channels);
    reader.read(symbols);
    for (uint32_t t = std::max(first, to.begin); t < std::min(first + tokens, to.end); ++t) {
      const uint8_t* row = symbols.data() + size_t{t - first} * channels;
      for (uint32_t h = 0; h < to.shape.kvHeads; ++h) {
        const uint32_t c = h * to.shape.headDim;
        restoreRow(row + c, scales.offset.data() + c, scales.step.data() + c, to.shape.headDim,
                   to.rows.type, to.rows.row(h, t - to.begin));
      }
    }
  }
  return to.end < to.frameTokens ? Status() : reader.finish();
}

}  // namespace

Status writeChannelQuant(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                         ByteWriter& out) {
  const std::vector<float> values = gather(rows, shape, tokens);
  if (!allFinite(values)) {
    return Status(ErrorCode::kInvalidArgument, "values: an infinity or NaN; expected finite ones");
  }
  const uint32_t channels = shape.channels();
  const ChannelScales scales = chooseScales(values, channels);
  writeBf16(scales.offset, out);
  writeBf16(scales.step, out);
  // A step of zero means a channel of one value: any divisor gives the middle symbol.
  std::vector<float> divisor = scales.step;
  for (float& d : divisor) d = d == 0 ? 1 : d;
  std::vector<uint8_t> symbols(values.size());
  for (size_t row = 0; row < values.size(); row += channels) {
    quantiseRow(&values[row], scales.offset.data(), divisor.data(), channels, &symbols[row]);
  }
  writeSymbolBlock(symbols, out);
  return {};
}

Status readChannelQuant(ByteReader& in, const PlaneWrite& to) {
  const size_t scaleBytes = to.shape.channels() * kBf16Bytes;
  const ByteSpan offsets = in.bytes(scaleBytes);
  const ByteSpan steps = in.bytes(scaleBytes);
  ChannelScales scales;
  if (!in.ok() || !readBf16(offsets, scales.offset) || !readBf16(steps, scales.step)) {
    return Status(ErrorCode::kCorrupt, "channel scales: cut off or not finite");
  }
  const auto reader = std::make_unique<SymbolReader>();
  SPOLIA_RETURN_IF_ERROR(reader->open(in, uint64_t{to.frameTokens} * to.shape.channels()));
  return decodeRows(*reader, scales, to);
}

Status skipChannelQuant(ByteReader& in, LayerShape shape) {
  in.skip(size_t{shape.channels()} * 2 * kBf16Bytes);
  if (!skipSymbolBlock(in)) return Status(ErrorCode::kCorrupt, "channel scales: cut off");
  return {};
}

}  // namespace spolia::codec
