// Files the CLI reads and writes. One thread.
#pragma once

#include <string>

#include "codec/base/aligned_buffer.h"
#include "codec/base/bytes.h"
#include "codec/base/result.h"

namespace spolia::cli {

// A whole file of at most `limit` bytes; "-" is stdin. kInvalidArgument naming the file.
Result<AlignedBuffer> readFile(const std::string& path, size_t limit);
// "-" is stdout. A file appears whole or not at all. kIoError naming the file.
Status writeFile(const std::string& path, ByteSpan bytes);
// The first line of a file, without the newline; refuses files that others can read. An empty path
// gives an empty token.
Result<std::string> readToken(const std::string& path);

}  // namespace spolia::cli
