#include "bench/codec/baselines/deflate.h"

#include <zlib.h>

#include "codec/base/check.h"

namespace spolia::bench {

namespace {

const Bytef* bytesOf(const std::byte* data) {
  return reinterpret_cast<const Bytef*>(data);
}

}  // namespace

Bytes deflated(ByteSpan data) {
  uLongf size = compressBound(data.size());
  Bytes out(size);
  SPOLIA_CHECK(compress2(reinterpret_cast<Bytef*>(out.data()), &size, bytesOf(data.data()),
                         data.size(), Z_BEST_COMPRESSION) == Z_OK);
  out.resize(size);
  return out;
}

Bytes inflated(ByteSpan data, size_t size) {
  uLongf got = size;
  Bytes out(size + 1);  // not empty, so that there is memory to point at
  SPOLIA_CHECK(uncompress(reinterpret_cast<Bytef*>(out.data()), &got, bytesOf(data.data()),
                          data.size()) == Z_OK);
  SPOLIA_CHECK(got == size);
  out.resize(size);
  return out;
}

}  // namespace spolia::bench
