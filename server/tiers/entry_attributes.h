// What a stored record's attributes say of its entry, so that lookup, list and the first read of a
// chunk need no payload. They stand in the store's records: server/tiers is their only reader and
// writer. Value types; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "codec/chunk_exchange.h"
#include "server/store/store_types.h"
#include "server/tiers/tier_set.h"

namespace spolia::tiers {

inline constexpr size_t kMaxLabelBytes = 512;

// Names a namespace without telling its secret.
using NamespaceTag = std::array<std::byte, 16>;
NamespaceTag namespaceTagOf(const Namespace& ns);

// HMAC-SHA256(secret, id).
StoreKey storeKeyOf(const Namespace& ns, const ChunkId& id);

struct EntryAttributes {
  NamespaceTag ns{};
  ChunkId id;
  // Differs when the payload's bytes differ: a chunk's header checksum (which covers the frames'
  // checksums), the XXH3-64 of a value.
  uint64_t contentTag = 0;
  uint32_t headerBytes = 0;  // chunks only
  uint32_t tokens = 0;       // chunks only
  codec::Preset preset = codec::Preset::kLossless;
  uint8_t levels = 0;
  std::string label;

  bool operator==(const EntryAttributes&) const = default;
};

// The label has at most kMaxLabelBytes.
Bytes writeAttributes(const EntryAttributes& attributes);
// kCorrupt when malformed, kUnsupported when of a later version.
Result<EntryAttributes> readAttributes(ByteSpan bytes);

// Attributes of a verified stream.
EntryAttributes attributesOf(const Namespace& ns, const codec::StreamHeader& header,
                             ByteSpan stream);
// What the entry is good for, as eviction sees it: a chunk saves computing its tokens; manifests
// and profiles, on which others depend, go only when they are removed.
store::EntryWorth entryWorthOf(const store::EntryMeta& meta);
// kCorrupt when the attributes are malformed or the kind is unknown.
Result<codec::EntryInfo> entryInfoOf(const store::EntryMeta& meta);

}  // namespace spolia::tiers
