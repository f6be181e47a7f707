#include "codec/stream_header.h"

#include <algorithm>

#include "codec/base/checksum.h"
#include "codec/base/varint.h"

namespace spolia::codec {
namespace {

// The fixed part of kHeaderPrefixBytes: magic, version, zero, header and stream length, and the
// checksum of the rest of the header, seeded with the checksum of these first 24 bytes.
constexpr size_t kChecksummedPrefix = 24;

uint64_t headerChecksum(ByteSpan header) {
  return xxh3(header.subspan(kHeaderPrefixBytes), xxh3(header.first(kChecksummedPrefix)));
}

Status corrupt(std::string what) {
  return Status(ErrorCode::kCorrupt, "stream header: " + std::move(what));
}

// A field that reads as malformed because the header ends in it is cut off.
Status whole(const ByteReader& in, std::string section, Status read) {
  return in.ok() ? read : corrupt(std::move(section) + ": cut off");
}

template <typename Tag>
void readDigest(ByteReader& in, Digest<Tag>& digest) {
  digest.bytes = in.read<std::array<std::byte, 32>>();
}

void writeIdentity(const ChunkIdentity& identity, ByteWriter& out) {
  out.bytes(identity.fingerprint.span());
  out.u8(identity.parent ? 1 : 0);
  if (identity.parent) out.bytes(identity.parent->span());
  out.u8(static_cast<uint8_t>(identity.mode));
  out.u8(static_cast<uint8_t>(identity.modality));
  writeVarint(identity.rows(), out);
  if (identity.modality == Modality::kText) {
    for (TokenId token : identity.tokens) writeVarint(token, out);
  } else {
    out.bytes(identity.imageBytes.span());
    out.bytes(identity.imagePreprocessing.span());
  }
}

Status readRows(ByteReader& in, ChunkIdentity& identity) {
  uint32_t rows = 0;
  if (!readVarint(in, rows) || rows == 0 || rows > kMaxChunkTokens) {
    return corrupt("number of rows: expected 1 to " + std::to_string(kMaxChunkTokens));
  }
  if (identity.modality == Modality::kImage) {
    identity.imageRows = rows;
    readDigest(in, identity.imageBytes);
    readDigest(in, identity.imagePreprocessing);
    return {};
  }
  if (rows > in.remaining()) return corrupt("token ids: cut off");
  identity.tokens.resize(rows);
  for (TokenId& token : identity.tokens) {
    if (!readVarint(in, token)) return corrupt("token ids: malformed");
  }
  return {};
}

Status readIdentity(ByteReader& in, ChunkIdentity& identity) {
  readDigest(in, identity.fingerprint);
  const uint8_t hasParent = in.u8();
  if (hasParent > 1) return corrupt("parent flag: expected 0 or 1");
  if (hasParent == 1) readDigest(in, identity.parent.emplace());
  const uint8_t mode = in.u8();
  const uint8_t modality = in.u8();
  if (mode > static_cast<uint8_t>(CompileMode::kPrefix)) return corrupt("compile mode: unknown");
  if (modality > static_cast<uint8_t>(Modality::kImage)) return corrupt("modality: unknown");
  identity.mode = static_cast<CompileMode>(mode);
  identity.modality = static_cast<Modality>(modality);
  return readRows(in, identity);
}

void writeCoding(const StreamHeader& header, ByteWriter& out) {
  out.u8(static_cast<uint8_t>(header.elementType));
  out.u8(static_cast<uint8_t>(header.kForm));
  writeVarint(header.firstPosition, out);
  out.u8(static_cast<uint8_t>(header.preset));
  out.u8(header.levels);
  out.u8(header.profile.isZero() ? 0 : 1);
  if (!header.profile.isZero()) out.bytes(header.profile.span());
  writeVarint(header.tokenGroup, out);
}

Status readCoding(ByteReader& in, StreamHeader& header) {
  const uint8_t elementType = in.u8();
  const uint8_t kForm = in.u8();
  if (elementType > static_cast<uint8_t>(ElementType::kBf16)) {
    return corrupt("element type: unknown");
  }
  if (kForm > static_cast<uint8_t>(KForm::kRotated)) return corrupt("k_form: unknown");
  header.elementType = static_cast<ElementType>(elementType);
  header.kForm = static_cast<KForm>(kForm);
  if (!readVarint(in, header.firstPosition) ||
      (header.kForm == KForm::kPreRope && header.firstPosition != 0)) {
    return corrupt("first position: malformed, or given for pre_rope");
  }
  const uint8_t preset = in.u8();
  if (preset > static_cast<uint8_t>(Preset::kSmall)) {
    return Status(ErrorCode::kUnsupported, "stream header: preset " + std::to_string(preset));
  }
  header.preset = static_cast<Preset>(preset);
  header.levels = in.u8();
  if (header.levels == 0 || header.levels > kMaxLevels) return corrupt("levels: expected 1 to 16");
  const uint8_t hasProfile = in.u8();
  if (hasProfile > 1) return corrupt("profile flag: expected 0 or 1");
  if (hasProfile == 1) readDigest(in, header.profile);
  if (hasProfile == 1 && header.profile.isZero()) return corrupt("profile: an id of zeros");
  if (!readVarint(in, header.tokenGroup) || header.tokenGroup == 0 ||
      header.tokenGroup > kMaxChunkTokens) {
    return corrupt("token group: expected 1 to " + std::to_string(kMaxChunkTokens));
  }
  return {};
}

void writeGroups(const std::vector<std::vector<PlaneRef>>& groups, ByteWriter& out) {
  writeVarint(static_cast<uint32_t>(groups.size()), out);
  for (const auto& group : groups) {
    writeVarint(static_cast<uint32_t>(group.size()), out);
    for (const PlaneRef& ref : group) {
      writeVarint(ref.layer * 2 + static_cast<uint32_t>(ref.plane), out);
    }
  }
}

// Whether a reader can derive the first layer, so that it may be left out.
bool mayDerive(const StreamHeader& header) {
  return header.identity.modality == Modality::kText && header.kForm == KForm::kPreRope &&
         !header.profile.isZero() && header.layers.size() > 1;
}

// Every (layer, plane) in exactly one group, or all but those of the first layer.
Status readGroups(ByteReader& in, StreamHeader& header) {
  const auto planes = static_cast<uint32_t>(header.layers.size() * 2);
  std::vector<bool> seen(planes, false);
  uint32_t count = 0;
  if (!readVarint(in, count) || count == 0 || count > planes) {
    return corrupt("plane groups: expected 1 to " + std::to_string(planes));
  }
  header.planeGroups.resize(count);
  uint32_t listed = 0;
  for (auto& group : header.planeGroups) {
    uint32_t size = 0;
    if (!readVarint(in, size) || size == 0 || size > planes - listed) {
      return corrupt("plane groups: malformed");
    }
    listed += size;
    for (uint32_t i = 0; i < size; ++i) {
      uint32_t ref = 0;
      if (!readVarint(in, ref) || ref >= planes || seen[ref]) {
        return corrupt("plane groups: a plane is unknown or named twice");
      }
      seen[ref] = true;
      group.push_back({ref / 2, static_cast<Plane>(ref % 2)});
    }
  }
  if (listed == planes) return {};
  if (listed + 2 != planes || seen[0] || seen[1] || !mayDerive(header)) {
    return corrupt("plane groups: a plane is missing");
  }
  header.derivedLayers = 1;
  return {};
}

Status readFrameTable(ByteReader& in, StreamHeader& header) {
  const uint64_t count = uint64_t{header.levels} * header.planeGroups.size() * header.tokenGroups();
  if (count * 12 > in.remaining()) return corrupt("frame table: cut off");
  header.frames.resize(count);
  uint64_t offset = header.headerBytes;
  for (FrameEntry& frame : header.frames) {
    frame.offset = offset;
    frame.size = in.u32();
    offset += frame.size;
  }
  for (FrameEntry& frame : header.frames) frame.checksum = in.u64();
  return {};
}

Status readSideSections(ByteReader& in, StreamHeader& header) {
  uint64_t offset = header.frames.back().offset + header.frames.back().size;
  uint32_t count = 0;
  if (!readVarint(in, count) || uint64_t{count} * 13 > in.remaining()) {
    return corrupt("side sections: malformed");
  }
  header.sideSections.resize(count);
  for (SideSection& section : header.sideSections) {
    if (!readVarint(in, section.type)) return corrupt("side sections: malformed type");
    section.offset = offset;
    section.size = in.u32();
    section.checksum = in.u64();
    offset += section.size;
  }
  if (offset != header.streamBytes) return corrupt("frames and sections do not fill the stream");
  return {};
}

}  // namespace

uint64_t partSeed(const ChunkId& id, uint64_t index) {
  uint64_t start;
  std::memcpy(&start, id.bytes.data(), sizeof start);
  return start + (index + 1) * 0x9e3779b97f4a7c15u;
}

FramePlace placeOf(const StreamHeader& header, uint32_t index) {
  const uint32_t tokenGroups = header.tokenGroups();
  const auto groups = static_cast<uint32_t>(header.planeGroups.size());
  const uint32_t tokenBegin = index % tokenGroups * header.tokenGroup;
  return {index / tokenGroups / groups, index / tokenGroups % groups, tokenBegin,
          std::min(tokenBegin + header.tokenGroup, header.tokens())};
}

Result<Bytes> writeHeader(StreamHeader& header) {
  ByteWriter out;  // what follows the prefix
  out.bytes(header.chunkId.span());
  writeIdentity(header.identity, out);
  writeCoding(header, out);
  writeShapes(header.layers, out);
  writeGroups(header.planeGroups, out);
  for (const FrameEntry& frame : header.frames) out.u32(frame.size);
  for (const FrameEntry& frame : header.frames) out.u64(frame.checksum);
  writeVarint(static_cast<uint32_t>(header.sideSections.size()), out);
  for (const SideSection& section : header.sideSections) {
    writeVarint(section.type, out);
    out.u32(section.size);
    out.u64(section.checksum);
  }
  if (out.size() > kMaxHeaderBytes - kHeaderPrefixBytes) {
    return Status(ErrorCode::kInvalidArgument,
                  "tokenGroup: so many frames do not fit into a header; expected more tokens each");
  }
  header.headerBytes = static_cast<uint32_t>(kHeaderPrefixBytes + out.size());
  uint64_t offset = header.headerBytes;
  for (FrameEntry& frame : header.frames) {
    frame.offset = offset;
    offset += frame.size;
  }
  for (SideSection& section : header.sideSections) {
    section.offset = offset;
    offset += section.size;
  }
  header.streamBytes = offset;
  Bytes bytes(header.headerBytes);
  std::copy(out.view().begin(), out.view().end(), bytes.begin() + kHeaderPrefixBytes);
  ByteWriter prefix;
  prefix.bytes(asBytes(kStreamMagic));
  prefix.u16(header.version);
  prefix.u16(0);
  prefix.u32(header.headerBytes);
  prefix.u64(header.streamBytes);
  std::copy(prefix.view().begin(), prefix.view().end(), bytes.begin());
  const uint64_t checksum = headerChecksum(bytes);
  std::memcpy(bytes.data() + kChecksummedPrefix, &checksum, sizeof checksum);
  return bytes;
}

Result<uint32_t> headerLength(ByteSpan prefix) {
  if (prefix.size() < kHeaderPrefixBytes) return corrupt("cut off");
  ByteReader in(prefix);
  if (asText(in.bytes(kStreamMagic.size())) != kStreamMagic) return corrupt("not a KV stream");
  const uint16_t version = in.u16();
  if (version > kStreamVersion) {
    return Status(ErrorCode::kUnsupported, "stream header: version " + std::to_string(version) +
                                               ", expected at most " +
                                               std::to_string(kStreamVersion));
  }
  const uint16_t reserved = in.u16();
  if (version == 0 || reserved != 0) return corrupt("version or reserved field");
  const uint32_t length = in.u32();
  if (length <= kHeaderPrefixBytes || length > kMaxHeaderBytes) return corrupt("header length");
  return length;
}

Result<StreamHeader> parseHeader(ByteSpan data) {
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t length, headerLength(data));
  if (data.size() < length) return corrupt("cut off");
  data = data.first(length);
  StreamHeader header;
  header.version = kStreamVersion;
  header.headerBytes = length;
  ByteReader in(data);
  in.skip(16);
  header.streamBytes = in.u64();
  if (in.u64() != headerChecksum(data)) return corrupt("checksum does not hold");
  readDigest(in, header.chunkId);
  SPOLIA_RETURN_IF_ERROR(whole(in, "identity", readIdentity(in, header.identity)));
  SPOLIA_RETURN_IF_ERROR(whole(in, "coding", readCoding(in, header)));
  SPOLIA_RETURN_IF_ERROR(
      whole(in, "layer shapes", readShapes(in, header.layers).withContext("stream header")));
  SPOLIA_RETURN_IF_ERROR(whole(in, "plane groups", readGroups(in, header)));
  SPOLIA_RETURN_IF_ERROR(whole(in, "frame table", readFrameTable(in, header)));
  SPOLIA_RETURN_IF_ERROR(whole(in, "side sections", readSideSections(in, header)));
  if (!in.finished()) return corrupt("length does not fit its fields");
  if (chunkIdOf(header.identity) != header.chunkId) {
    return corrupt("chunk id is not that of the identity");
  }
  return header;
}

}  // namespace spolia::codec
