// What a chunk is: everything that determines its KV, and the id that follows from it. The
// canonical encoding is specified, with test vectors, in codec/FORMAT.md. Value types; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"

namespace spolia::codec {

using TokenId = uint32_t;

// How an isolated chunk was computed. The numbers stand in ids and headers.
enum class CompileMode : uint8_t {
  kBos = 0,     // one BOS row in front, dropped from what is stored (default)
  kLego0 = 1,   // four BOS rows in front, dropped (EPIC LegoLink-0)
  kPrefix = 2,  // after a named parent, or from position 0 with BOS as part of the tokens
};

enum class Modality : uint8_t { kText = 0, kImage = 1 };

// The longest chunk a stream can hold, in tokens or image rows.
inline constexpr uint32_t kMaxChunkTokens = 1 << 16;

struct ChunkIdentity {
  ModelFingerprint fingerprint;
  std::optional<ChunkId> parent;  // a prefix chunk's predecessor
  CompileMode mode = CompileMode::kBos;
  Modality modality = Modality::kText;
  std::vector<TokenId> tokens;  // text only
  // Images only: SHA-256 of the file's bytes, digest of the preprocessing, rows the encoder gives.
  Sha256Digest imageBytes;
  Sha256Digest imagePreprocessing;
  uint32_t imageRows = 0;

  uint32_t rows() const {
    return modality == Modality::kText ? static_cast<uint32_t>(tokens.size()) : imageRows;
  }
  bool operator==(const ChunkIdentity&) const = default;
};

// The bytes whose SHA-256 is the id.
Bytes canonicalEncoding(const ChunkIdentity& identity);
ChunkId chunkIdOf(const ChunkIdentity& identity);

// Id of a document's manifest: by model and name, so that a new version replaces the old one.
ChunkId manifestIdOf(const ModelFingerprint& fingerprint, std::string_view documentName);

// The parts a model fingerprint is made of (design: weights, adapter, config, tokenizer, RoPE
// parameters, numerics). Digests of absent parts are zero.
struct ModelDescriptor {
  Sha256Digest weights;
  Sha256Digest adapter;
  Sha256Digest config;
  Sha256Digest tokenizer;
  Sha256Digest rope;
  std::string numerics;  // "f32", "f16", "int8"

  bool operator==(const ModelDescriptor&) const = default;
};

ModelFingerprint fingerprintOf(const ModelDescriptor& descriptor);

}  // namespace spolia::codec
