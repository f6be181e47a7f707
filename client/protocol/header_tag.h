// A tag that tells streams apart by their frame tables (spolia.capnp, FetchAnswer.headerTag): both
// ends compute it from their parsed headers. Pure; any thread.
#pragma once

#include <cstdint>

#include "codec/base/bytes.h"
#include "codec/base/checksum.h"

namespace spolia::protocol {

// Of a codec::StreamHeader; never 0, which stands for "none".
template <typename Header>
uint64_t headerTag(const Header& header) {
  ByteWriter table;
  for (const auto& frame : header.frames) table.u64(frame.checksum);
  table.u64(header.streamBytes);
  const uint64_t tag = xxh3(table.view());
  return tag == 0 ? 1 : tag;
}

}  // namespace spolia::protocol
