// Hostile profiles: their checksum made right, and what is done with those that are accepted.
#pragma once

#include <cmath>
#include <random>

#include "codec/base/checksum.h"
#include "codec/codec.h"
#include "codec/lossy/lossy_frame.h"
#include "codec/values/quant_rows.h"
#include "tests/codec/golden_kv.h"

namespace spolia::codec {

inline constexpr size_t kProfilePrefixBytes = 24;

// Length and checksum as they should be, so that damage reaches what lies behind.
inline void sealProfile(Bytes& bytes) {
  if (bytes.size() < kProfilePrefixBytes) return;
  const auto length = static_cast<uint32_t>(bytes.size());
  std::memcpy(bytes.data() + 12, &length, sizeof length);
  const ByteSpan all(bytes);
  const uint64_t sum = xxh3(all.subspan(kProfilePrefixBytes), xxh3(all.first(16)));
  std::memcpy(bytes.data() + 16, &sum, sizeof sum);
}

inline bool allFinite(GoldenKv& kv, ElementType type) {
  bool finite = true;
  kv.forEachHead([&](MutableByteSpan head) {
    std::vector<float> row(head.size() / elementSize(type));
    widenRow(head.data(), type, row.size(), row.data());
    for (float v : row) finite &= std::isfinite(v);
  });
  return finite;
}

// A small stream made with the profile, as far as it lets itself be, and decoded; another one of
// bytes that are whatever they are. False when what was decoded is not finite.
inline bool useProfile(const Profile& profile, std::mt19937& random) {
  const ProfileData& data = profile.data();
  uint64_t channels = 0;
  for (const LayerShape& shape : data.layers) channels += shape.channels();
  if (channels > 1000 || data.layers.size() > 8) return true;
  ChunkIdentity identity;
  identity.fingerprint = data.fingerprint;
  for (uint32_t t = 0; t < 6; ++t) identity.tokens.push_back(random() % 100);
  GoldenKv kv(data.layers, 6, ElementType::kF32);
  kv.fill(random());
  bool finite = true;
  for (const ProfileTransform& transform : data.transforms) {
    EncodeOptions options;
    options.preset = static_cast<Preset>(transform.preset);
    options.profile = &profile;
    options.tokenGroup = 4;
    const auto stream = encodeStream(identity, data.layers, kv.view(), options);
    if (!stream.ok()) continue;  // plane groups that cut a block
    const auto header = verifyStream(*stream);
    SPOLIA_CHECK(header.ok());
    for (ElementType type : {ElementType::kF32, ElementType::kF16}) {
      GoldenKv out(data.layers, 6, type);
      SPOLIA_CHECK(decodeStream(*stream, *header, {}, out.target(), &profile).ok());
      finite &= allFinite(out, type);
    }
    std::vector<Bytes> frames(header->frames.size());
    for (Bytes& frame : frames) {
      frame.resize(random() % 200);
      for (std::byte& b : frame) b = static_cast<std::byte>(random());
      if (frame.size() > 8) frame[0] = std::byte{3};
    }
    const Bytes wild = assembleStream(*header, frames);
    const auto wildHeader = verifyStream(wild);
    SPOLIA_CHECK(wildHeader.ok());
    GoldenKv out(data.layers, 6, ElementType::kF32);
    decodeStream(wild, *wildHeader, {}, out.target(), &profile).ignore();  // or an error
  }
  return finite;
}

}  // namespace spolia::codec
