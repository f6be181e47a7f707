// How profiles are written and read: the rest of profile.h.
#include "codec/lossy/profile.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "codec/base/checksum.h"
#include "codec/base/varint.h"
#include "codec/lossy/profile_rows.h"
#include "codec/values/half.h"
#include "codec/values/layer_shapes.h"

namespace spolia::codec {
namespace {

constexpr std::string_view kMagic = "SPOLIAPR";
constexpr uint16_t kVersion = 1;
// Magic, version, zero, length and the checksum of what follows, seeded with that of these 16.
constexpr size_t kChecksummedPrefix = 16;
constexpr size_t kPrefixBytes = 24;
constexpr uint8_t kMostTransforms = 4;
constexpr uint8_t kFirstLossy = 2;
constexpr uint8_t kLastPreset = 3;

// Bounds of steps and scales: no product or sum of a decoder, and none of an encoder, is infinite.
constexpr float kLeastStep = 0x1p-60f;
constexpr float kLargestScale = 0x1p30f;

// False for a NaN.
bool isBounded(float scale) {
  return std::fabs(scale) <= kLargestScale;
}

Status corruptProfile(std::string what) {
  return Status(ErrorCode::kCorrupt, "profile: " + std::move(what));
}

uint64_t checksumOf(ByteSpan bytes) {
  return xxh3(bytes.subspan(kPrefixBytes), xxh3(bytes.first(kChecksummedPrefix)));
}

template <typename T>
void writeAll(const std::vector<T>& values, ByteWriter& out) {
  out.bytes(std::as_bytes(std::span(values)));
}

void writeFloats(const std::vector<float>& values, ByteWriter& out) {
  for (float v : values) out.u16(bf16FromF32(v));
}

// Bytes of one token: the wide numbers, then two narrow ones a byte, the first in the low half.
size_t codeBytes(const ProfileData& data) {
  return data.wideCodes + (data.codeRank - data.wideCodes + 1) / 2;
}

void writeCodes(const ProfileData& data, ByteWriter& out) {
  for (size_t begin = 0; begin < data.codes.size(); begin += data.codeRank) {
    const int8_t* code = data.codes.data() + begin;
    for (uint32_t i = 0; i < data.wideCodes; ++i) out.write(code[i]);
    for (uint32_t i = data.wideCodes; i < data.codeRank; i += 2) {
      const int8_t second = i + 1 < data.codeRank ? code[i + 1] : int8_t{0};
      out.u8(static_cast<uint8_t>((code[i] & 0xf) | (second & 0xf) << 4));
    }
  }
}

int8_t signedNibble(uint32_t nibble) {
  return static_cast<int8_t>(static_cast<int32_t>(nibble ^ 8) - 8);
}

bool readCodes(ByteReader& in, uint32_t vocabulary, ProfileData& data) {
  const ByteSpan bytes = in.bytes(vocabulary * codeBytes(data));
  if (!in.ok()) return false;
  data.codes.reserve(size_t{vocabulary} * data.codeRank);
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  for (uint32_t token = 0; token < vocabulary; ++token, from += codeBytes(data)) {
    for (uint32_t i = 0; i < data.wideCodes; ++i) {
      data.codes.push_back(static_cast<int8_t>(from[i]));
    }
    for (uint32_t i = data.wideCodes; i < data.codeRank; ++i) {
      const uint32_t both = from[data.wideCodes + (i - data.wideCodes) / 2];
      data.codes.push_back(signedNibble((i - data.wideCodes) % 2 == 0 ? both & 0xf : both >> 4));
    }
  }
  return true;
}

void writeTables(const ClassTables& tables, ByteWriter& out) {
  for (const FrequencyTable& table : tables.coarse) writeFrequencies(table, out);
  for (const FrequencyTable& table : tables.fine) writeFrequencies(table, out);
}

void writeBlock(const ProfileBlock& block, ByteWriter& out) {
  writeVarint(block.channels(), out);
  writeVarint(block.componentCount(), out);

  out.write(block.componentScale);
  writeFloats(block.mean, out);
  writeFloats(block.scale, out);
  writeFloats(block.mapScale, out);
  writeRows(block.maps, block.channels(), out);
  writeAll(block.classes, out);
  writeAll(block.shifts, out);
  writeRows(block.components, block.channels(), out);
}

// Reads `count` bytes as a vector of T; false when there are not as many.
template <typename T>
bool readAll(ByteReader& in, uint64_t count, std::vector<T>& to) {
  static_assert(sizeof(T) == 1);
  const ByteSpan bytes = in.bytes(count);
  if (!in.ok()) return false;
  const T* first = reinterpret_cast<const T*>(bytes.data());
  to.assign(first, first + count);
  return true;
}

bool readFloats(ByteReader& in, uint64_t count, std::vector<float>& to) {
  if (count * 2 > in.remaining()) return false;
  to.resize(count);
  bool finite = true;
  for (float& v : to) {
    v = f32FromBf16(in.u16());
    finite &= std::isfinite(v);
  }
  return finite;
}

bool within(const std::vector<uint8_t>& values, uint32_t last) {
  for (uint8_t v : values) {
    if (v > last) return false;
  }
  return true;
}

Status readTables(ByteReader& in, ClassTables& tables) {
  for (auto* kind : {&tables.coarse, &tables.fine}) {
    for (FrequencyTable& table : *kind) {
      SPOLIA_ASSIGN_OR_RETURN(table, readFrequencies(in));
    }
  }
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const uint32_t escape = coarsePack(c).escape();
    for (uint32_t s = 0; s < 256; ++s) {
      const bool unknownCoarse = s > escape && tables.coarse[c].frequency[s] != 0;
      const bool fineKnown = s < kFinePack.escape();
      if (unknownCoarse || fineKnown != (tables.fine[c].frequency[s] != 0)) {
        return corruptProfile("symbol tables: a symbol that its class lacks, or lacks one");
      }
    }
    if (tables.coarse[c].frequency[escape] == 0) return corruptProfile("symbol tables: no escape");
  }
  return {};
}

Status readBlock(ByteReader& in, uint32_t mapRows, RowBudget& budget, ProfileBlock& block) {
  uint32_t channels = 0;
  uint32_t components = 0;
  if (!readVarint(in, channels) || !readVarint(in, components) || channels == 0 ||
      components > kMaxBlockComponents || components % kPackComponents != 0) {
    return corruptProfile("block: channels or components out of range");
  }
  block.end = block.begin + channels;

  block.componentScale = in.read<float>();
  if (!isBounded(block.componentScale)) return corruptProfile("block: scale out of range");
  if (!readFloats(in, channels, block.mean) || !readFloats(in, channels, block.scale) ||
      !readFloats(in, channels, block.mapScale)) {
    return corruptProfile("block: means or scales cut off or not finite");
  }
  for (float s : block.scale) {
    if (s <= 0) return corruptProfile("block: scale of a channel not above 0");
  }
  if (!std::all_of(block.mapScale.begin(), block.mapScale.end(), isBounded)) {
    return corruptProfile("block: scale of a channel's map out of range");
  }
  SPOLIA_RETURN_IF_ERROR(
      readRows(in, mapRows, channels, budget, block.maps).withContext("block: maps"));
  if (!readAll(in, components / kPackComponents, block.classes) ||
      !readAll(in, components, block.shifts)) {
    return corruptProfile("block: cut off");
  }
  if (!within(block.classes, kStepClasses - 1) || !within(block.shifts, kMaxShift)) {
    return corruptProfile("block: class or shift out of range");
  }
  return readRows(in, components, channels, budget, block.components)
      .withContext("block: components");
}

// Where heads begin, in channels counted through all planes, and where the last one ends.
std::vector<uint32_t> headBounds(const std::vector<LayerShape>& layers) {
  std::vector<uint32_t> out{0};
  for (const LayerShape& shape : layers) {
    for (uint32_t h = 0; h < 2 * shape.kvHeads; ++h) out.push_back(out.back() + shape.headDim);
  }
  return out;
}

// Moves blocks that follow each other from channel 0 on to where their number of channels says that
// they stand: from the first layer on, or from the second.
Status placeBlocks(const std::vector<LayerShape>& layers, std::vector<ProfileBlock>& blocks) {
  const std::vector<uint32_t> bounds = headBounds(layers);
  const uint32_t last = blocks.back().end;
  const uint32_t first = 2 * layers.front().channels();
  const bool second = layers.size() > 1 && last + first == bounds.back();
  const uint32_t skipped = second ? first : 0;
  for (ProfileBlock& block : blocks) {
    block.begin += skipped;
    block.end += skipped;
    if (!std::binary_search(bounds.begin(), bounds.end(), block.end)) {
      return corruptProfile("block: does not end where a head does");
    }
  }
  if (blocks.back().end != bounds.back()) {
    return corruptProfile("transform: blocks do not cover the channels");
  }
  return {};
}

Status readTransform(ByteReader& in, const ProfileData& data, RowBudget& budget,
                     ProfileTransform& transform) {
  transform.preset = in.u8();
  transform.step = in.read<float>();
  transform.planesPerGroup = in.u8();
  transform.ownCodes = in.u8();
  transform.codesBefore = in.u8();
  uint32_t blocks = 0;
  const size_t heads = headBounds(data.layers).size() - 1;
  if (!readVarint(in, blocks) || transform.preset < kFirstLossy || transform.preset > kLastPreset ||
      !(transform.step >= kLeastStep && transform.step <= kLargestScale) || blocks == 0 ||
      blocks > heads || transform.ownCodes > data.codeRank ||
      transform.codesBefore > data.codeRank) {
    return corruptProfile("transform: preset, step, codes or number of blocks out of range");
  }
  uint32_t begin = 0;
  for (uint32_t b = 0; b < blocks; ++b) {
    ProfileBlock& block = transform.blocks.emplace_back();
    block.begin = begin;
    SPOLIA_RETURN_IF_ERROR(
        readBlock(in, transform.ownCodes + transform.codesBefore, budget, block));
    begin = block.end;
  }
  SPOLIA_RETURN_IF_ERROR(placeBlocks(data.layers, transform.blocks));
  return readTables(in, transform.tables);
}

Status readContents(ByteReader& in, size_t profileBytes, ProfileData& data) {
  data.fingerprint.bytes = in.read<std::array<std::byte, 32>>();
  SPOLIA_RETURN_IF_ERROR(readShapes(in, data.layers).withContext("profile"));
  uint32_t vocabulary = 0;
  data.codeRank = in.u8();
  data.wideCodes = in.u8();
  if (!readVarint(in, vocabulary) || data.codeRank > kMaxCodeRank ||
      data.wideCodes > data.codeRank || (data.codeRank == 0 && vocabulary > 0) ||
      !readAll(in, data.codeRank, data.codeShifts) || !within(data.codeShifts, kMaxShift) ||
      !readCodes(in, vocabulary, data)) {
    return corruptProfile("token codes: cut off or out of range");
  }
  RowBudget budget(profileBytes);
  const uint8_t transforms = in.u8();
  if (!in.ok() || transforms > kMostTransforms) return corruptProfile("transforms: too many");
  for (uint8_t i = 0; i < transforms; ++i) {
    SPOLIA_RETURN_IF_ERROR(readTransform(in, data, budget, data.transforms.emplace_back()));
  }
  if (!in.finished()) return corruptProfile("length does not fit its fields");
  return {};
}

}  // namespace

Bytes writeProfile(const ProfileData& data) {
  ByteWriter out;
  out.zeros(kPrefixBytes);
  out.bytes(data.fingerprint.span());
  writeShapes(data.layers, out);
  out.u8(static_cast<uint8_t>(data.codeRank));
  out.u8(static_cast<uint8_t>(data.wideCodes));
  writeVarint(data.codeRank == 0 ? 0 : static_cast<uint32_t>(data.codes.size() / data.codeRank),
              out);
  writeAll(data.codeShifts, out);
  writeCodes(data, out);
  out.u8(static_cast<uint8_t>(data.transforms.size()));
  for (const ProfileTransform& transform : data.transforms) {
    out.u8(transform.preset);
    out.write(transform.step);
    out.u8(transform.planesPerGroup);
    out.u8(transform.ownCodes);
    out.u8(transform.codesBefore);
    writeVarint(static_cast<uint32_t>(transform.blocks.size()), out);
    for (const ProfileBlock& block : transform.blocks) writeBlock(block, out);
    writeTables(transform.tables, out);
  }
  Bytes bytes = out.take();
  ByteWriter prefix;
  prefix.bytes(asBytes(kMagic));
  prefix.u16(kVersion);
  prefix.u16(0);
  prefix.u32(static_cast<uint32_t>(bytes.size()));
  std::copy(prefix.view().begin(), prefix.view().end(), bytes.begin());
  const uint64_t checksum = checksumOf(bytes);
  std::memcpy(bytes.data() + kChecksummedPrefix, &checksum, sizeof checksum);
  return bytes;
}

Result<std::shared_ptr<const Profile>> Profile::parse(ByteSpan bytes) {
  ByteReader in(bytes);
  if (bytes.size() < kPrefixBytes || asText(in.bytes(kMagic.size())) != kMagic) {
    return corruptProfile("not a profile");
  }
  const uint16_t version = in.u16();
  if (version > kVersion) {
    return Status(ErrorCode::kUnsupported, "profile: version " + std::to_string(version) +
                                               ", expected at most " + std::to_string(kVersion));
  }
  const uint16_t reserved = in.u16();
  if (version == 0 || reserved != 0) return corruptProfile("version or reserved field");
  if (bytes.size() > kMaxProfileBytes || in.u32() != bytes.size()) return corruptProfile("length");
  if (in.u64() != checksumOf(bytes)) return corruptProfile("checksum does not hold");
  ProfileData data;
  const Status read = readContents(in, bytes.size(), data);
  if (!read.ok()) return in.ok() ? read : corruptProfile("cut off");
  Sha256Digest id;
  id.bytes = sha256(bytes);
  return std::shared_ptr<const Profile>(new Profile(std::move(data), id));
}

}  // namespace spolia::codec
