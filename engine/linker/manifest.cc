#include "engine/linker/manifest.h"

#include <algorithm>

#include "codec/base/checksum.h"

namespace spolia::engine {

namespace {

constexpr std::string_view kMagic = "SPOLIAMF";
constexpr size_t kChecksumBytes = 8;
constexpr size_t kChunkFixedBytes = 32 + 4 + 4;
// Changes whenever chunker.h cuts differently, so that documents are cut anew.
constexpr std::string_view kVersionDomain = "spolia document, sentence chunker 1";

Status corrupt(const std::string& what) {
  return Status(ErrorCode::kCorrupt, "manifest: " + what);
}

Result<ManifestChunk> readChunk(ByteReader& reader) {
  ManifestChunk chunk;
  const ByteSpan id = reader.bytes(chunk.id.bytes.size());
  if (id.size() == chunk.id.bytes.size()) std::ranges::copy(id, chunk.id.bytes.begin());
  chunk.tokens = reader.u32();
  chunk.text = asText(reader.bytes(reader.u32()));
  if (!reader.ok()) return corrupt("ends inside a chunk");
  if (chunk.tokens == 0 || chunk.tokens > codec::kMaxChunkTokens) {
    return corrupt("a chunk of " + std::to_string(chunk.tokens) + " tokens, expected 1 to " +
                   std::to_string(codec::kMaxChunkTokens));
  }
  return chunk;
}

// Everything between version and checksum.
Result<Manifest> readBody(ByteReader& reader) {
  Manifest out;
  const uint8_t preset = reader.u8();
  if (preset > static_cast<uint8_t>(codec::Preset::kSmall)) return corrupt("unknown preset");
  out.preset = static_cast<codec::Preset>(preset);
  reader.skip(1);
  out.chunkTokens = reader.u32();
  out.version.bytes = reader.read<decltype(out.version.bytes)>();
  out.name = asText(reader.bytes(reader.u16()));
  const uint32_t chunks = reader.u32();
  if (!reader.ok()) return corrupt("too short");
  if (out.name.empty() || out.name.size() > kMaxDocumentName) return corrupt("bad name length");
  if (chunks > reader.remaining() / kChunkFixedBytes) return corrupt("more chunks than bytes");
  out.chunks.reserve(chunks);
  for (uint32_t i = 0; i < chunks; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(ManifestChunk chunk, readChunk(reader));
    out.chunks.push_back(std::move(chunk));
  }
  if (!reader.finished()) return corrupt("bytes after the last chunk");
  return out;
}

}  // namespace

std::string Manifest::text() const {
  std::string out;
  for (const ManifestChunk& chunk : chunks) out += chunk.text;
  return out;
}

uint64_t Manifest::tokens() const {
  uint64_t sum = 0;
  for (const ManifestChunk& chunk : chunks) sum += chunk.tokens;
  return sum;
}

Sha256Digest documentVersion(std::string_view text, uint32_t chunkTokens) {
  Sha256 sha;
  sha.update(kVersionDomain);
  sha.update(std::as_bytes(std::span(&chunkTokens, 1)));
  sha.update(text);
  return Sha256Digest{sha.finish()};
}

Bytes serializeManifest(const Manifest& manifest) {
  SPOLIA_CHECK(!manifest.name.empty() && manifest.name.size() <= kMaxDocumentName);
  ByteWriter writer;
  writer.bytes(asBytes(kMagic));
  writer.u16(kManifestVersion);
  writer.u8(static_cast<uint8_t>(manifest.preset));
  writer.u8(0);
  writer.u32(manifest.chunkTokens);
  writer.bytes(manifest.version.span());
  writer.u16(static_cast<uint16_t>(manifest.name.size()));
  writer.bytes(asBytes(manifest.name));
  writer.u32(static_cast<uint32_t>(manifest.chunks.size()));
  for (const ManifestChunk& chunk : manifest.chunks) {
    writer.bytes(chunk.id.span());
    writer.u32(chunk.tokens);
    writer.u32(static_cast<uint32_t>(chunk.text.size()));
    writer.bytes(asBytes(chunk.text));
  }
  writer.u64(xxh3(writer.view()));
  return writer.take();
}

Result<Manifest> parseManifest(ByteSpan bytes) {
  ByteReader head(bytes);
  if (asText(head.bytes(kMagic.size())) != kMagic) return corrupt("not one of ours (magic)");
  const uint16_t version = head.u16();
  if (!head.ok()) return corrupt("too short");
  if (version != kManifestVersion) {
    return Status(ErrorCode::kUnsupported, "manifest: version " + std::to_string(version) +
                                               ", this build knows " +
                                               std::to_string(kManifestVersion));
  }
  if (head.remaining() < kChecksumBytes) return corrupt("too short");
  const size_t body = bytes.size() - kChecksumBytes;
  ByteReader checksum(bytes.subspan(body));
  if (checksum.u64() != xxh3(bytes.first(body))) return corrupt("wrong checksum");
  ByteReader reader(bytes.first(body).subspan(kMagic.size() + sizeof version));
  return readBody(reader);
}

}  // namespace spolia::engine
