// Streams that were damaged, with all their checksums made right again: damage reaches what lies
// behind them.
#pragma once

#include <cstring>

#include "codec/base/checksum.h"
#include "codec/codec.h"
#include "codec/stream_header.h"

namespace spolia::codec {

inline void sealHeader(Bytes& stream) {
  const Result<uint32_t> length = headerLength(stream);
  if (!length.ok() || *length > stream.size()) return;
  const ByteSpan header = ByteSpan(stream).first(*length);
  const uint64_t sum = xxh3(header.subspan(kHeaderPrefixBytes), xxh3(header.first(24)));
  std::memcpy(stream.data() + 24, &sum, sizeof sum);
}

// The frames' too, of streams without side sections.
inline void sealStream(Bytes& stream) {
  sealHeader(stream);
  const Result<StreamHeader> header = parseHeader(stream);
  if (!header.ok() || !header->sideSections.empty()) return;
  // The checksums end where the one-byte count of side sections begins.
  const size_t table = header->headerBytes - 1 - header->frames.size() * 8;
  for (uint32_t i = 0; i < header->frames.size(); ++i) {
    const FrameEntry& f = header->frames[i];
    if (f.offset + f.size > stream.size()) return;
    const uint64_t sum =
        xxh3(ByteSpan(stream).subspan(f.offset, f.size), partSeed(header->chunkId, i));
    std::memcpy(stream.data() + table + i * 8, &sum, sizeof sum);
  }
  sealHeader(stream);
}

}  // namespace spolia::codec
