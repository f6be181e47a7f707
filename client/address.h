// Where a server is: "spolia://HOST:PORT" (the port may be left out), or "spolia+unix:///PATH" or
// "unix:/PATH". A value type; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia::client {

struct ServerAddress {
  std::string host;  // empty for a unix socket
  uint16_t port = 0;
  std::string path;

  bool isUnix() const { return !path.empty(); }
  // In the first form above.
  std::string text() const;
};

// kInvalidArgument saying what was expected.
Result<ServerAddress> parseAddress(std::string_view text);

}  // namespace spolia::client
