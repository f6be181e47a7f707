#include "codec/chunk_identity.h"

#include "codec/base/check.h"

namespace spolia::codec {
namespace {

// In front of what is hashed, so that no two kinds of id can have the same pre-image.
constexpr std::string_view kChunkDomain = "spolia chunk id\n";
constexpr std::string_view kManifestDomain = "spolia manifest id\n";
constexpr std::string_view kModelDomain = "spolia model\n";
constexpr uint8_t kIdVersion = 1;

void writeText(std::string_view text, ByteWriter& out) {
  out.u32(static_cast<uint32_t>(text.size()));
  out.bytes(asBytes(text));
}

}  // namespace

Bytes canonicalEncoding(const ChunkIdentity& identity) {
  ByteWriter out;
  out.bytes(asBytes(kChunkDomain));
  out.u8(kIdVersion);
  out.bytes(identity.fingerprint.span());
  out.u8(identity.parent.has_value() ? 1 : 0);
  if (identity.parent) out.bytes(identity.parent->span());
  out.u8(static_cast<uint8_t>(identity.mode));
  out.u8(static_cast<uint8_t>(identity.modality));
  if (identity.modality == Modality::kText) {
    out.u32(static_cast<uint32_t>(identity.tokens.size()));
    out.bytes(std::as_bytes(std::span(identity.tokens)));
  } else {
    out.bytes(identity.imageBytes.span());
    out.bytes(identity.imagePreprocessing.span());
    out.u32(identity.imageRows);
  }
  return out.take();
}

ChunkId chunkIdOf(const ChunkIdentity& identity) {
  return {sha256(canonicalEncoding(identity))};
}

ChunkId manifestIdOf(const ModelFingerprint& fingerprint, std::string_view documentName) {
  ByteWriter out;
  out.bytes(asBytes(kManifestDomain));
  out.u8(kIdVersion);
  out.bytes(fingerprint.span());
  writeText(documentName, out);
  return {sha256(out.view())};
}

ModelFingerprint fingerprintOf(const ModelDescriptor& descriptor) {
  ByteWriter out;
  out.bytes(asBytes(kModelDomain));
  out.u8(kIdVersion);
  out.bytes(descriptor.weights.span());
  out.bytes(descriptor.adapter.span());
  out.bytes(descriptor.config.span());
  out.bytes(descriptor.tokenizer.span());
  out.bytes(descriptor.rope.span());
  writeText(descriptor.numerics, out);
  return {sha256(out.view())};
}

}  // namespace spolia::codec
