// What a stored record's attributes say of its entry, so that lookup, list and the first read of a
// chunk need no payload. They stand in the store's records: server/tiers is their only reader and
// writer. Value types; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "codec/chunk_exchange.h"
#include "server/store/store_types.h"
#include "server/tiers/extents.h"
#include "server/tiers/tier_set.h"

namespace spolia::tiers {

inline constexpr size_t kMaxLabelBytes = 512;

// Names a namespace without telling its secret.
using NamespaceTag = std::array<std::byte, 16>;
NamespaceTag namespaceTagOf(const Namespace& ns);

// The namespace among owners of entries in a store: one for a namespace and all its salts.
store::OwnerTag ownerTagOf(const NamespaceTag& tag);

// HMAC-SHA256(secret, id).
StoreKey storeKeyOf(const Namespace& ns, const ChunkId& id);

// Where a prefix chunk stands in its chain. What stands before it is known as far as it was stored
// when the chunk was.
struct ChainPlace {
  std::array<std::byte, 8> parent{};  // the beginning of its store key; of use if depth > 0
  uint32_t depth = 0;                 // chunks before it
  uint32_t tokensBefore = 0;

  bool operator==(const ChainPlace&) const = default;
};

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
  std::optional<ChainPlace> chain;  // prefix chunks
  std::optional<Extents> extents;   // of what is longer than a record

  bool operator==(const EntryAttributes&) const = default;
};

// The label has at most kMaxLabelBytes.
Bytes writeAttributes(const EntryAttributes& attributes);
// kCorrupt when malformed, kUnsupported when of a later version.
Result<EntryAttributes> readAttributes(ByteSpan bytes);

// What the record of an extent says, but the first's, which is the entry's own.
struct ExtentAttributes {
  StoreKey entry;
  uint32_t number = 0;
  uint8_t kind = 0;       // the entry's
  EntryAttributes value;  // the entry's
};

Bytes writeExtentAttributes(const ExtentAttributes& attributes);
// kCorrupt, kUnsupported as readAttributes().
Result<ExtentAttributes> readExtentAttributes(ByteSpan bytes);

// Attributes of a verified stream; of a prefix chunk, as if nothing before it were known.
EntryAttributes attributesOf(const Namespace& ns, const codec::StreamHeader& header,
                             ByteSpan stream);
// A chunk that hangs on one with these attributes.
ChainPlace behind(const ChainPlace& place, const EntryAttributes& parent);
// What the entry is good for, as eviction sees it: a chunk saves computing its tokens, the longer
// what stands before it the more; manifests and profiles, on which others depend, go only when they
// are removed. An extent saves its share, and hangs on the one before it; the entry on the last.
store::EntryWorth entryWorthOf(const store::EntryMeta& meta);
// For StoreConfig::valuesAlike: a chunk's streams all say the same, and none stays longer than one
// without an end; an extent's key never has a second value.
bool valuesAlike(const store::EntryMeta& meta);
// Of an entry that is kept in extents, by its own record; nothing for others, and for extents.
std::optional<Extents> extentsOf(const store::EntryMeta& meta);
// The other records of a value in extents; none of others.
std::vector<StoreKey> otherExtentsOf(const store::EntryMeta& meta);
// kCorrupt when the attributes are malformed or the kind is unknown, as an extent's is.
Result<codec::EntryInfo> entryInfoOf(const store::EntryMeta& meta);

}  // namespace spolia::tiers
