#include "codec/byte_planes.h"

#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "codec/entropy/symbol_block.h"

namespace spolia::codec {
namespace {

// As they stand in streams, in front of the blocks.
constexpr uint8_t kNoBases = 0;
constexpr uint8_t kChannelBases = 1;

// What one exponent step adds to the top byte of a rotated element.
constexpr uint32_t exponentStep(ElementType type) {
  return type == ElementType::kF16 ? 8 : 1;
}

// The sign goes to the lowest bit, so that the top byte begins with the exponent.
template <typename Word>
void gatherRotated(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                   std::vector<Word>& out) {
  out.resize(size_t{tokens} * shape.channels());
  Word* to = out.data();
  for (uint32_t t = 0; t < tokens; ++t) {
    for (uint32_t h = 0; h < shape.kvHeads; ++h, to += shape.headDim) {
      std::memcpy(to, rows.row(h, t), shape.headDim * sizeof(Word));
    }
  }
  for (Word& word : out) word = std::rotl(word, 1);
}

template <typename Word>
std::vector<uint8_t> byteOf(const std::vector<Word>& words, uint32_t index) {
  std::vector<uint8_t> out(words.size());
  for (size_t i = 0; i < words.size(); ++i) out[i] = static_cast<uint8_t>(words[i] >> index * 8);
  return out;
}

// The mean exponent of each channel, in steps of the top byte.
std::vector<uint8_t> channelBases(const std::vector<uint8_t>& top, uint32_t channels,
                                  uint32_t step) {
  std::vector<uint32_t> sums(channels, 0);
  for (size_t row = 0; row < top.size(); row += channels) {
    for (uint32_t c = 0; c < channels; ++c) sums[c] += top[row + c] / step;
  }
  const auto tokens = static_cast<uint32_t>(top.size() / channels);
  std::vector<uint8_t> bases(channels);
  for (uint32_t c = 0; c < channels; ++c) {
    bases[c] = static_cast<uint8_t>((sums[c] + tokens / 2) / tokens * step);
  }
  return bases;
}

// The top plane as it is, or with a base per channel taken off: whichever is smaller.
void writeTopPlane(const std::vector<uint8_t>& top, uint32_t channels, uint32_t step,
                   ByteWriter& out) {
  ByteWriter plain;
  writeSymbolBlock(top, plain);
  const std::vector<uint8_t> bases = channelBases(top, channels, step);
  std::vector<uint8_t> moved(top.size());
  for (size_t row = 0; row < top.size(); row += channels) {
    for (uint32_t c = 0; c < channels; ++c) {
      moved[row + c] = static_cast<uint8_t>(top[row + c] - bases[c]);
    }
  }
  ByteWriter based;
  based.bytes(std::as_bytes(std::span(bases)));
  writeSymbolBlock(moved, based);
  const bool useBases = based.size() < plain.size();
  out.u8(useBases ? kChannelBases : kNoBases);
  out.bytes(useBases ? based.view() : plain.view());
}

template <typename Word>
void writePlanes(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                 ByteWriter& out) {
  std::vector<Word> words;
  gatherRotated(rows, shape, tokens, words);
  writeTopPlane(byteOf(words, sizeof(Word) - 1), shape.channels(), exponentStep(rows.type), out);
  for (uint32_t i = sizeof(Word) - 1; i-- > 0;) writeSymbolBlock(byteOf(words, i), out);
}

// One element, un-rotated, in the target's type.
template <typename Word, ElementType kStored, bool kWiden>
void storeRow(const Word* from, uint32_t count, std::byte* to) {
  for (uint32_t i = 0; i < count; ++i) {
    const Word word = std::rotr(from[i], 1);
    if constexpr (!kWiden) {
      std::memcpy(to + i * sizeof word, &word, sizeof word);
    } else {
      const float wide = kStored == ElementType::kF16 ? f32FromF16(static_cast<uint16_t>(word))
                                                      : f32FromBf16(static_cast<uint16_t>(word));
      std::memcpy(to + i * sizeof wide, &wide, sizeof wide);
    }
  }
}

// Byte planes of `tokens` tokens put together again, top byte first in `planes`.
template <typename Word>
void joinPlanes(const std::vector<uint8_t>& planes, std::span<const uint8_t> bases,
                std::vector<Word>& words) {
  const size_t count = words.size();
  const size_t channels = bases.size();
  for (size_t i = 0; i < count; ++i) words[i] = 0;
  for (size_t plane = 0; plane < sizeof(Word); ++plane) {
    const uint8_t* from = planes.data() + plane * count;
    const size_t shift = (sizeof(Word) - 1 - plane) * 8;
    for (size_t row = 0; row < count; row += channels) {
      for (size_t c = 0; c < channels; ++c) {
        const auto byte =
            plane == 0 ? static_cast<uint8_t>(from[row + c] + bases[c]) : from[row + c];
        words[row + c] = static_cast<Word>(words[row + c] | static_cast<Word>(byte) << shift);
      }
    }
  }
}

template <typename Word, ElementType kStored, bool kWiden>
Status readPlanes(ByteReader& in, const PlaneWrite& to) {
  const uint32_t channels = to.shape.channels();
  const uint8_t transform = in.u8();
  if (transform > kChannelBases) return Status(ErrorCode::kCorrupt, "byte planes: unknown form");
  std::vector<uint8_t> bases(channels, 0);
  if (transform == kChannelBases) {
    const ByteSpan stored = in.bytes(channels);
    if (!in.ok()) return Status(ErrorCode::kCorrupt, "byte planes: cut off");
    std::memcpy(bases.data(), stored.data(), channels);
  }
  const auto readers = std::make_unique<std::array<SymbolReader, sizeof(Word)>>();
  for (SymbolReader& reader : *readers) {
    SPOLIA_RETURN_IF_ERROR(reader.open(in, uint64_t{to.frameTokens} * channels));
  }
  const uint32_t slice = sliceTokens(to.shape);
  std::vector<uint8_t> planes;
  std::vector<Word> words;
  for (uint32_t first = 0; first < to.end; first += slice) {
    const uint32_t tokens = std::min(slice, to.frameTokens - first);
    const size_t count = size_t{tokens} * channels;
    planes.resize(count * sizeof(Word));
    words.resize(count);
    for (size_t i = 0; i < sizeof(Word); ++i) {
      (*readers)[i].read(std::span(planes).subspan(i * count, count));
    }
    if (first + tokens <= to.begin) continue;
    joinPlanes<Word>(planes, bases, words);
    for (uint32_t t = std::max(first, to.begin); t < std::min(first + tokens, to.end); ++t) {
      const Word* row = words.data() + size_t{t - first} * channels;
      for (uint32_t h = 0; h < to.shape.kvHeads; ++h, row += to.shape.headDim) {
        storeRow<Word, kStored, kWiden>(row, to.shape.headDim, to.rows.row(h, t - to.begin));
      }
    }
  }
  if (to.end < to.frameTokens) return {};
  for (const SymbolReader& reader : *readers) SPOLIA_RETURN_IF_ERROR(reader.finish());
  return {};
}

}  // namespace

void writeBytePlanes(const PlaneRows<const std::byte>& rows, LayerShape shape, uint32_t tokens,
                     ByteWriter& out) {
  if (rows.type == ElementType::kF32) {
    writePlanes<uint32_t>(rows, shape, tokens, out);
  } else {
    writePlanes<uint16_t>(rows, shape, tokens, out);
  }
}

Status readBytePlanes(ByteReader& in, ElementType stored, const PlaneWrite& to) {
  if (stored == to.rows.type) {
    return stored == ElementType::kF32 ? readPlanes<uint32_t, ElementType::kF32, false>(in, to)
                                       : readPlanes<uint16_t, ElementType::kF16, false>(in, to);
  }
  if (to.rows.type != ElementType::kF32) {
    return Status(ErrorCode::kInvalidArgument,
                  "element type " + std::string(elementTypeName(to.rows.type)) +
                      ": cannot hold a lossless stream of " + std::string(elementTypeName(stored)) +
                      "; expected that or f32");
  }
  return stored == ElementType::kF16 ? readPlanes<uint16_t, ElementType::kF16, true>(in, to)
                                     : readPlanes<uint16_t, ElementType::kBf16, true>(in, to);
}

Status skipBytePlanes(ByteReader& in, ElementType stored, LayerShape shape) {
  if (in.u8() == kChannelBases) in.skip(shape.channels());
  for (size_t i = 0; i < elementSize(stored); ++i) {
    if (!skipSymbolBlock(in)) return Status(ErrorCode::kCorrupt, "byte planes: cut off");
  }
  return {};
}

}  // namespace spolia::codec
