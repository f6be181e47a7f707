// Small conversions between Cap'n Proto's and our byte and text types. Pure; any thread.
#pragma once

#include <capnp/blob.h>

#include <cstring>
#include <string>
#include <string_view>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"

namespace spolia::protocol {

inline ByteSpan bytesOf(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}
inline capnp::Data::Reader dataOf(ByteSpan bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}
inline std::string textOf(capnp::Text::Reader text) {
  return {text.begin(), text.size()};
}
inline capnp::Text::Reader textReader(const std::string& text) {
  return {text.c_str(), text.size()};
}

// 32 bytes, or kInvalidArgument naming `field`.
template <typename Tag>
Result<Digest<Tag>> digestOf(capnp::Data::Reader data, std::string_view field) {
  Digest<Tag> digest;
  if (data.size() != digest.bytes.size()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(field) + ": expected 32 bytes, got " + std::to_string(data.size()));
  }
  std::memcpy(digest.bytes.data(), data.begin(), digest.bytes.size());
  return digest;
}

}  // namespace spolia::protocol
