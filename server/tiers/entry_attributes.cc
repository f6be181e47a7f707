#include "server/tiers/entry_attributes.h"

#include <algorithm>
#include <cstring>

namespace spolia::tiers {
namespace {

// Each is written only where it says more than the one before: the second has a place in a chain
// at its end, the third says which of place and extents follow.
constexpr uint8_t kPlainVersion = 1;
constexpr uint8_t kChainVersion = 2;
constexpr uint8_t kExtentsVersion = 3;
constexpr uint8_t kExtentAttributesVersion = 1;
// In a chunk's payload: where the header's own checksum stands (codec/FORMAT.md, "Header").
constexpr size_t kHeaderChecksumOffset = 24;

uint8_t versionOf(const EntryAttributes& attributes) {
  if (attributes.extents) return kExtentsVersion;
  return attributes.chain ? kChainVersion : kPlainVersion;
}

store::EntryWorth worthOfValue(uint8_t entryKind, const EntryAttributes& attributes) {
  // Policies compare seconds; which model computes how fast is not known here. Attention to so many
  // tokens takes as long as all the rest (bench/policy/README.md, "How it counts").
  constexpr double kSecondsPerToken = 0.001;
  constexpr double kTokensLikeTheRest = 3200;
  store::EntryWorth worth;
  const auto kind = static_cast<codec::EntryKind>(entryKind);
  worth.evictable = kind != codec::EntryKind::kManifest && kind != codec::EntryKind::kProfile;
  worth.owner = ownerTagOf(attributes.ns);
  const std::optional<ChainPlace>& chain = attributes.chain;
  if (attributes.tokens > 0) {
    const double tokens = attributes.tokens;
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

// The entry's own extent goes first, as what nothing hangs on, and before it the later ones go.
store::EntryWorth worthOfExtent(store::EntryWorth worth, const StoreKey& entry,
                                const Extents& extents, uint32_t number) {
  worth.recomputeSeconds *=
      static_cast<double>(extents.bytesOf(number)) / static_cast<double>(extents.bytes);
  if (number == 1) return worth;
  const uint32_t before = (number == 0 ? extents.count() : number) - 1;
  worth.chained = true;
  worth.depth += before;
  worth.parent = extentKeyOf(entry, extents, before);
  return worth;
}

}  // namespace

NamespaceTag namespaceTagOf(const Namespace& ns) {
  const auto digest = hmacSha256(ns.secret, asBytes("spolia namespace tag"));
  NamespaceTag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  if (ns.wholeSecret) {
    // The owner is that of the whole; what follows tells the salts apart.
    const auto whole = hmacSha256(*ns.wholeSecret, asBytes("spolia namespace tag"));
    std::copy_n(whole.begin(), sizeof(store::OwnerTag), tag.begin());
  }
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
  out.u8(versionOf(attributes));
  out.bytes(attributes.ns);
  out.bytes(attributes.id.span());
  out.u64(attributes.contentTag);
  out.u32(attributes.headerBytes);
  out.u32(attributes.tokens);
  out.u8(static_cast<uint8_t>(attributes.preset));
  out.u8(attributes.levels);
  out.u16(static_cast<uint16_t>(attributes.label.size()));
  out.bytes(asBytes(attributes.label));
  if (attributes.extents) out.u8(attributes.chain ? 1 : 0);
  if (const auto& chain = attributes.chain) {
    out.bytes(chain->parent);
    out.u32(chain->depth);
    out.u32(chain->tokensBefore);
  }
  if (const auto& extents = attributes.extents) {
    out.u64(extents->bytes);
    out.u32(extents->each);
    out.u64(extents->nonce);
  }
  return out.take();
}

Result<EntryAttributes> readAttributes(ByteSpan bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  if (in.ok() && version > kExtentsVersion) {
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
  const bool extents = version == kExtentsVersion;
  if (version == kChainVersion || (extents && in.u8() != 0)) {
    ChainPlace& chain = out.chain.emplace();
    chain.parent = in.read<std::array<std::byte, 8>>();
    chain.depth = in.u32();
    chain.tokensBefore = in.u32();
  }
  if (extents) {
    Extents& of = out.extents.emplace();
    of.bytes = in.u64();
    of.each = in.u32();
    of.nonce = in.u64();
  }
  const bool valid = version >= kPlainVersion && in.finished() &&
                     (!out.extents || out.extents->valid()) &&
                     preset <= static_cast<uint8_t>(codec::Preset::kSmall) &&
                     out.headerBytes <= codec::kMaxHeaderBytes;
  if (!valid) return Status(ErrorCode::kCorrupt, "entry attributes: malformed");
  return out;
}

Bytes writeExtentAttributes(const ExtentAttributes& attributes) {
  ByteWriter out;
  out.u8(kExtentAttributesVersion);
  out.bytes(attributes.entry.span());
  out.u32(attributes.number);
  out.u8(attributes.kind);
  out.bytes(writeAttributes(attributes.value));
  return out.take();
}

Result<ExtentAttributes> readExtentAttributes(ByteSpan bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  if (in.ok() && version > kExtentAttributesVersion) {
    return Status(ErrorCode::kUnsupported, "extent attributes: version " + std::to_string(version));
  }
  ExtentAttributes out;
  out.entry.bytes = in.read<std::array<std::byte, 32>>();
  out.number = in.u32();
  out.kind = in.u8();
  if (!in.ok()) return Status(ErrorCode::kCorrupt, "extent attributes: malformed");
  SPOLIA_ASSIGN_OR_RETURN(out.value, readAttributes(in.bytes(in.remaining())));
  const bool valid = version == kExtentAttributesVersion && out.value.extents && out.number > 0 &&
                     out.number < out.value.extents->count();
  if (!valid) return Status(ErrorCode::kCorrupt, "extent attributes: malformed");
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
  if (meta.kind == kExtentKind) {
    const Result<ExtentAttributes> extent = readExtentAttributes(meta.attributes);
    if (!extent.ok()) return {};
    return worthOfExtent(worthOfValue(extent->kind, extent->value), extent->entry,
                         *extent->value.extents, extent->number);
  }
  const Result<EntryAttributes> attributes = readAttributes(meta.attributes);
  const store::EntryWorth worth =
      worthOfValue(meta.kind, attributes.ok() ? *attributes : EntryAttributes());
  if (!attributes.ok() || !attributes->extents) return worth;
  return worthOfExtent(worth, meta.key, *attributes->extents, 0);
}

bool valuesAlike(const store::EntryMeta& meta) {
  const bool chunk = meta.kind == static_cast<uint8_t>(codec::EntryKind::kChunk);
  return meta.kind == kExtentKind || (chunk && meta.expiresAt == 0);
}

std::optional<Extents> extentsOf(const store::EntryMeta& meta) {
  if (meta.kind == kExtentKind) return std::nullopt;
  const Result<EntryAttributes> attributes = readAttributes(meta.attributes);
  return attributes.ok() ? attributes->extents : std::nullopt;
}

std::vector<StoreKey> otherExtentsOf(const store::EntryMeta& meta) {
  std::vector<StoreKey> out;
  const auto add = [&](const StoreKey& entry, const Extents& extents) {
    for (uint32_t number = 0; number < extents.count(); ++number) {
      const StoreKey key = extentKeyOf(entry, extents, number);
      if (key != meta.key) out.push_back(key);
    }
  };
  if (meta.kind == kExtentKind) {
    const auto extent = readExtentAttributes(meta.attributes);
    if (extent.ok()) add(extent->entry, *extent->value.extents);
  } else if (const auto extents = extentsOf(meta)) {
    add(meta.key, *extents);
  }
  return out;
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
  info.bytes = attributes.extents ? attributes.extents->bytes : meta.payloadBytes;
  info.tokens = attributes.tokens;
  info.preset = attributes.preset;
  info.levels = attributes.levels;
  info.label = std::move(attributes.label);
  info.expiresAt = meta.expiresAt;
  return info;
}

}  // namespace spolia::tiers
