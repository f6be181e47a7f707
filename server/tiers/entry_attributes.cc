#include "server/tiers/entry_attributes.h"

#include <algorithm>
#include <cstring>

namespace spolia::tiers {
namespace {

// The second has a place in a chain at its end, and is written only where there is one.
constexpr uint8_t kPlainVersion = 1;
constexpr uint8_t kChainVersion = 2;
// In a chunk's payload: where the header's own checksum stands (codec/FORMAT.md, "Header").
constexpr size_t kHeaderChecksumOffset = 24;

}  // namespace

NamespaceTag namespaceTagOf(const Namespace& ns) {
  const auto digest = hmacSha256(ns.secret, asBytes("spolia namespace tag"));
  NamespaceTag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

store::OwnerTag ownerTagOf(const NamespaceTag& tag) {
  store::OwnerTag owner;
  std::memcpy(&owner, tag.data(), sizeof owner);
  return owner;
}

StoreKey storeKeyOf(const Namespace& ns, const ChunkId& id) {
  return {hmacSha256(ns.secret, id.span())};
}

Bytes writeAttributes(const EntryAttributes& attributes) {
  ByteWriter out;
  out.u8(attributes.chain ? kChainVersion : kPlainVersion);
  out.bytes(attributes.ns);
  out.bytes(attributes.id.span());
  out.u64(attributes.contentTag);
  out.u32(attributes.headerBytes);
  out.u32(attributes.tokens);
  out.u8(static_cast<uint8_t>(attributes.preset));
  out.u8(attributes.levels);
  out.u16(static_cast<uint16_t>(attributes.label.size()));
  out.bytes(asBytes(attributes.label));
  if (const auto& chain = attributes.chain) {
    out.bytes(chain->parent);
    out.u32(chain->depth);
    out.u32(chain->tokensBefore);
  }
  return out.take();
}

Result<EntryAttributes> readAttributes(ByteSpan bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  if (in.ok() && version > kChainVersion) {
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
  if (version == kChainVersion) {
    ChainPlace& chain = out.chain.emplace();
    chain.parent = in.read<std::array<std::byte, 8>>();
    chain.depth = in.u32();
    chain.tokensBefore = in.u32();
  }
  const bool valid = version >= kPlainVersion && in.finished() &&
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
  const codec::ChunkIdentity& identity = header.identity;
  if (identity.mode != codec::CompileMode::kPrefix) return out;
  ChainPlace& chain = out.chain.emplace();
  if (identity.parent) {
    const StoreKey parent = storeKeyOf(ns, *identity.parent);
    std::copy_n(parent.bytes.begin(), chain.parent.size(), chain.parent.begin());
    chain.depth = 1;
  }
  return out;
}

ChainPlace behind(const ChainPlace& place, const EntryAttributes& parent) {
  ChainPlace out = place;
  const auto sum = [](uint32_t a, uint32_t b) { return a > UINT32_MAX - b ? UINT32_MAX : a + b; };
  const ChainPlace above = parent.chain.value_or(ChainPlace());
  out.depth = sum(above.depth, 1);
  out.tokensBefore = sum(above.tokensBefore, parent.tokens);
  return out;
}

store::EntryWorth entryWorthOf(const store::EntryMeta& meta) {
  // Policies compare seconds; which model computes how fast is not known here. Attention to so many
  // tokens takes as long as all the rest (bench/policy/README.md, "How it counts").
  constexpr double kSecondsPerToken = 0.001;
  constexpr double kTokensLikeTheRest = 3200;
  store::EntryWorth worth;
  const auto kind = static_cast<codec::EntryKind>(meta.kind);
  worth.evictable = kind != codec::EntryKind::kManifest && kind != codec::EntryKind::kProfile;
  const Result<EntryAttributes> attributes = readAttributes(meta.attributes);
  if (!attributes.ok()) return worth;
  worth.owner = ownerTagOf(attributes->ns);
  const std::optional<ChainPlace>& chain = attributes->chain;
  if (attributes->tokens > 0) {
    const double tokens = attributes->tokens;
    const double seen = (chain ? chain->tokensBefore : 0) + tokens / 2;
    worth.recomputeSeconds = kSecondsPerToken * tokens * (1 + seen / kTokensLikeTheRest);
  }
  if (!chain) return worth;
  worth.chained = true;
  worth.depth = chain->depth;
  if (chain->depth > 0) {
    std::copy(chain->parent.begin(), chain->parent.end(), worth.parent.emplace().bytes.begin());
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
