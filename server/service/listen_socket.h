// Sockets to listen on, with errors that say what is wrong. Any thread.
#pragma once

#include <kj/io.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia::service {

struct TcpAddress {
  sockaddr_storage address{};
  socklen_t length = 0;
  bool loopback = false;
};

// "HOST:PORT", an IPv6 host in brackets; port 0 lets the system choose. kInvalidArgument otherwise
// or when the host is unknown.
Result<TcpAddress> resolveTcp(std::string_view text);

struct ListenSocket {
  kj::AutoCloseFd fd;
  std::string bound;  // "HOST:PORT" as bound, or the path
};

// kUnavailable naming the address when it is in use, kIoError otherwise.
Result<ListenSocket> listenTcp(const TcpAddress& address);
// The socket has mode 0600. One left by a server that died is replaced; kUnavailable when a server
// still listens there, kInvalidArgument when something else is at the path or it is too long.
Result<ListenSocket> listenUnix(const std::filesystem::path& path);

}  // namespace spolia::service
