// Manifest: which chunks a document is made of. It is stored under manifestIdOf(model, name), so a
// new version of a document replaces the old one. Value type; any thread.
//
// Stored form, little-endian, version 1:
//   8  magic "SPOLIAMF"
//   2  version
//   1  preset the chunks were asked in        1  zero
//   4  most tokens of a chunk
//   32 version of the document (documentVersion)
//   2  bytes of the name, then the name
//   4  number of chunks, then for each: 32 chunk id, 4 tokens, 4 bytes of text, the text
//   8  XXH3-64 of everything before, seed 0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "codec/codec.h"

namespace spolia::engine {

// As long as a store's labels may be.
inline constexpr size_t kMaxDocumentName = 512;
inline constexpr uint16_t kManifestVersion = 1;

struct ManifestChunk {
  ChunkId id;
  uint32_t tokens = 0;
  std::string text;

  bool operator==(const ManifestChunk&) const = default;
};

struct Manifest {
  std::string name;      // 1 to kMaxDocumentName bytes
  Sha256Digest version;  // of the text and how it was cut
  codec::Preset preset = codec::Preset::kHigh;
  uint32_t chunkTokens = 0;
  std::vector<ManifestChunk> chunks;

  // The document's text.
  std::string text() const;
  uint64_t tokens() const;
  bool operator==(const Manifest&) const = default;
};

// Digest of a document's bytes and of how they are cut into chunks: equal versions have equal
// chunks.
Sha256Digest documentVersion(std::string_view text, uint32_t chunkTokens);

Bytes serializeManifest(const Manifest& manifest);

// Untrusted bytes: kCorrupt when they are no manifest or damaged, kUnsupported when of a newer
// version. Chunk ids are not checked against the texts here: only a model can.
Result<Manifest> parseManifest(ByteSpan bytes);

}  // namespace spolia::engine
