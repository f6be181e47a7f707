// SHA-256, HMAC-SHA-256 and the 32-byte values they give. Identity rests on these: chunk ids, store
// keys and model fingerprints are different types, so that one cannot be passed for another.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia {

// 32 bytes named by what they identify. A value type; ordered bytewise.
template <typename Tag>
struct Digest {
  std::array<std::byte, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  bool isZero() const { return *this == Digest{}; }
  std::span<const std::byte> span() const { return bytes; }
  std::string hex() const;
};

struct ChunkIdTag {};
struct StoreKeyTag {};
struct FingerprintTag {};
struct Sha256Tag {};

// Identity of a chunk (or other entry) by content; the same on every machine. See codec/FORMAT.md.
using ChunkId = Digest<ChunkIdTag>;
// HMAC of a chunk id under a namespace secret: what segments and index carry.
using StoreKey = Digest<StoreKeyTag>;
// Identity of a model and its numerics.
using ModelFingerprint = Digest<FingerprintTag>;
// A SHA-256 with no particular meaning.
using Sha256Digest = Digest<Sha256Tag>;

// 64 lower-case digits of 32 bytes.
std::string toHex(std::span<const std::byte> bytes);
// 32 bytes from 64 hex digits of either case; kInvalidArgument otherwise.
Result<std::array<std::byte, 32>> digestFromHex(std::string_view hex);

template <typename Tag>
std::string Digest<Tag>::hex() const {
  return toHex(bytes);
}

// For unordered containers: the digests are uniform already.
struct DigestHash {
  template <typename Tag>
  size_t operator()(const Digest<Tag>& d) const {
    size_t h;
    std::memcpy(&h, d.bytes.data(), sizeof h);
    return h;
  }
};

// Incremental SHA-256. One object, one thread; not reusable after finish().
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::span<const std::byte> data);
  Sha256& update(std::string_view text) { return update(std::as_bytes(std::span(text))); }
  std::array<std::byte, 32> finish();

 private:
  void* context_;  // EVP_MD_CTX, kept out of the header
};

std::array<std::byte, 32> sha256(std::span<const std::byte> data);
std::array<std::byte, 32> hmacSha256(std::span<const std::byte> secret,
                                     std::span<const std::byte> data);
// Compares in time that depends on the lengths only.
bool constantTimeEqual(std::span<const std::byte> a, std::span<const std::byte> b);
// Bytes from the operating system's generator, for secrets.
void fillRandom(std::span<std::byte> out);

}  // namespace spolia
