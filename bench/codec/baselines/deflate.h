// zlib, as KVTC uses it. Any thread.
#pragma once

#include <cstddef>

#include "codec/base/bytes.h"

namespace spolia::bench {

// The smallest that zlib makes of it.
Bytes deflated(ByteSpan data);
// `size` bytes; only of what deflated() gave for so many.
Bytes inflated(ByteSpan data, size_t size);

}  // namespace spolia::bench
