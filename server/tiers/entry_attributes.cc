#include "server/tiers/entry_attributes.h"

#include <algorithm>

namespace spolia::tiers {
namespace {

constexpr uint8_t kAttributesVersion = 1;
// In a chunk's payload: where the header's own checksum stands (codec/FORMAT.md, "Header").
constexpr size_t kHeaderChecksumOffset = 24;

}  // namespace

NamespaceTag namespaceTagOf(const Namespace& ns) {
  const auto digest = hmacSha256(ns.secret, asBytes("spolia namespace tag"));
  NamespaceTag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

StoreKey storeKeyOf(const Namespace& ns, const ChunkId& id) {
  return {hmacSha256(ns.secret, id.span())};
}

Bytes writeAttributes(const EntryAttributes& attributes) {
  ByteWriter out;
  out.u8(kAttributesVersion);
  out.bytes(attributes.ns);
  out.bytes(attributes.id.span());
  out.u64(attributes.contentTag);
  out.u32(attributes.headerBytes);
  out.u32(attributes.tokens);
  out.u8(static_cast<uint8_t>(attributes.preset));
  out.u8(attributes.levels);
  out.u16(static_cast<uint16_t>(attributes.label.size()));
  out.bytes(asBytes(attributes.label));
  return out.take();
}

Result<EntryAttributes> readAttributes(ByteSpan bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  if (in.ok() && version > kAttributesVersion) {
    return Status(ErrorCode::kUnsupported, "entry attributes: version " + std::to_string(version));
  }
  EntryAttributes out;
  out.ns = in.read<NamespaceTag>();
  out.id.bytes = in.read<std::array<std::byte, 32>>();
  out.contentTag = in.u64();
  out.headerBytes = in.u32();
  out.tokens = in.u32();
  const uint8_t preset = in.u8();
  out.preset = static_cast<codec::Preset>(preset);
  out.levels = in.u8();
  out.label = std::string(asText(in.bytes(in.u16())));
  const bool valid = version == kAttributesVersion && in.finished() &&
                     preset <= static_cast<uint8_t>(codec::Preset::kSmall) &&
                     out.headerBytes <= codec::kMaxHeaderBytes;
  if (!valid) return Status(ErrorCode::kCorrupt, "entry attributes: malformed");
  return out;
}

EntryAttributes attributesOf(const Namespace& ns, const codec::StreamHeader& header,
                             ByteSpan stream) {
  EntryAttributes out;
  out.ns = namespaceTagOf(ns);
  out.id = header.chunkId;
  ByteReader in(stream);
  in.skip(kHeaderChecksumOffset);
  out.contentTag = in.u64();
  out.headerBytes = header.headerBytes;
  out.tokens = header.tokens();
  out.preset = header.preset;
  out.levels = header.levels;
  return out;
}

store::EntryWorth entryWorthOf(const store::EntryMeta& meta) {
  // Policies compare seconds; which model computes how fast is not known here.
  constexpr double kSecondsPerToken = 0.001;
  store::EntryWorth worth;
  const auto kind = static_cast<codec::EntryKind>(meta.kind);
  worth.evictable = kind != codec::EntryKind::kManifest && kind != codec::EntryKind::kProfile;
  const Result<EntryAttributes> attributes = readAttributes(meta.attributes);
  if (attributes.ok() && attributes->tokens > 0) {
    worth.recomputeSeconds = kSecondsPerToken * attributes->tokens;
  }
  return worth;
}

Result<codec::EntryInfo> entryInfoOf(const store::EntryMeta& meta) {
  SPOLIA_ASSIGN_OR_RETURN(EntryAttributes attributes, readAttributes(meta.attributes));
  const bool known = meta.kind >= static_cast<uint8_t>(codec::EntryKind::kChunk) &&
                     meta.kind <= static_cast<uint8_t>(codec::EntryKind::kOpaque);
  if (!known) {
    return Status(ErrorCode::kCorrupt, "entry kind " + std::to_string(meta.kind) + ": unknown");
  }
  codec::EntryInfo info;
  info.id = attributes.id;
  info.kind = static_cast<codec::EntryKind>(meta.kind);
  info.bytes = meta.payloadBytes;
  info.tokens = attributes.tokens;
  info.preset = attributes.preset;
  info.levels = attributes.levels;
  info.label = std::move(attributes.label);
  info.expiresAt = meta.expiresAt;
  return info;
}

}  // namespace spolia::tiers
