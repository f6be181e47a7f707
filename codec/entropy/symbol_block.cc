#include "codec/entropy/symbol_block.h"

#include <algorithm>
#include <cstring>

#include "codec/entropy/histogram.h"
#include "codec/entropy/rans_simd_encoder.h"

namespace spolia::codec {
namespace {

// As they stand in streams.
constexpr uint8_t kModeRaw = 0;
constexpr uint8_t kModeConstant = 1;
constexpr uint8_t kModeRans = 2;

void writeBlock(uint8_t mode, ByteSpan body, ByteWriter& out) {
  out.u8(mode);
  out.u32(static_cast<uint32_t>(body.size()));
  out.bytes(body);
}

}  // namespace

void writeSymbolBlock(std::span<const uint8_t> symbols, ByteWriter& out) {
  const SymbolCounts counts = countSymbols(symbols);
  const auto used = std::count_if(counts.begin(), counts.end(), [](uint32_t c) { return c > 0; });
  if (used == 1) {
    writeBlock(kModeConstant, std::as_bytes(symbols.first(1)), out);
    return;
  }
  if (used > 1) {
    const FrequencyTable table = normalise(counts);
    ByteWriter body;
    writeFrequencies(table, body);
    const double expected = static_cast<double>(body.size()) + kRansLanes * sizeof(uint32_t) +
                            codedBits(counts, table) / 8;
    if (expected < static_cast<double>(symbols.size())) {
      ransSimdEncode(symbols, table, body);
      if (body.size() < symbols.size()) {
        writeBlock(kModeRans, body.view(), out);
        return;
      }
    }
  }
  writeBlock(kModeRaw, std::as_bytes(symbols), out);
}

bool skipSymbolBlock(ByteReader& in) {
  in.u8();
  in.skip(in.u32());
  return in.ok();
}

Status SymbolReader::open(ByteReader& in, uint64_t count) {
  const uint8_t mode = in.u8();
  ByteSpan body = in.bytes(in.u32());
  if (!in.ok()) return Status(ErrorCode::kCorrupt, "symbol block: cut off");
  switch (mode) {
    case kModeRaw:
      if (body.size() != count) break;
      mode_ = Mode::kRaw;
      raw_ = body;
      return {};
    case kModeConstant:
      if (body.size() != 1) break;
      mode_ = Mode::kConstant;
      constant_ = std::to_integer<uint8_t>(body[0]);
      return {};
    case kModeRans: {
      ByteReader reader(body);
      SPOLIA_ASSIGN_OR_RETURN(const FrequencyTable table, readFrequencies(reader));
      mode_ = Mode::kRans;
      return rans_.start(reader.bytes(reader.remaining()), table);
    }
    default:
      return Status(ErrorCode::kCorrupt, "symbol block: unknown mode");
  }
  return Status(ErrorCode::kCorrupt, "symbol block: length does not fit its mode");
}

void SymbolReader::read(std::span<uint8_t> out) {
  switch (mode_) {
    case Mode::kRaw:
      if (!out.empty()) std::memcpy(out.data(), raw_.data(), out.size());
      raw_ = raw_.subspan(out.size());
      return;
    case Mode::kConstant:
      std::fill(out.begin(), out.end(), constant_);
      return;
    case Mode::kRans:
      rans_.decode(out);
      return;
  }
}

Status SymbolReader::finish() const {
  if (mode_ == Mode::kRans && !rans_.finished()) {
    return Status(ErrorCode::kCorrupt, "symbol block: coded bytes do not end where they should");
  }
  return {};
}

}  // namespace spolia::codec
