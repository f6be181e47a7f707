#include "server/service/listen_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace spolia::service {
namespace {

constexpr int kBacklog = 256;

bool isLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  }
  return false;
}

std::string describe(const sockaddr_storage& address, socklen_t length) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  std::string name(host);
  if (address.ss_family == AF_INET6) name.insert(0, 1, '[').append("]");
  return name.append(":").append(port);
}

Status failure(const std::string& address, int error) {
  const bool busy = error == EADDRINUSE;
  return {busy ? ErrorCode::kUnavailable : ErrorCode::kIoError,
          "cannot listen on " + address + ": " + std::strerror(error)};
}

// Whether somebody accepts connections at the path.
bool answers(const sockaddr_un& address) {
  const kj::AutoCloseFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.get() >= 0 &&
         ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Status clearStale(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return {ErrorCode::kInvalidArgument,
            "listen.unix: " + path.string() + " is there and is not a socket"};
  }
  if (answers(address)) {
    return {ErrorCode::kUnavailable,
            "listen.unix: another server listens on " + path.string() + "; stop it first"};
  }
  ::unlink(path.c_str());
  return {};
}

}  // namespace

Result<TcpAddress> resolveTcp(std::string_view text) {
  const size_t colon = text.rfind(':');
  const auto wrong = [&](const std::string& what) {
    return Status(ErrorCode::kInvalidArgument,
                  "address \"" + std::string(text) + "\": " + what + "; expected HOST:PORT");
  };
  if (colon == std::string_view::npos || colon == 0) return wrong("no port");
  std::string host(text.substr(0, colon));
  const std::string port(text.substr(colon + 1));
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos ||
      port.size() > 5 || std::stoul(port) > 65535) {
    return wrong("the port is not a number up to 65535");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return wrong(::gai_strerror(error));
  }
  TcpAddress out;
  std::memcpy(&out.address, found->ai_addr, found->ai_addrlen);
  out.length = found->ai_addrlen;
  out.loopback = isLoopback(found->ai_addr);
  ::freeaddrinfo(found);
  return out;
}

Result<ListenSocket> listenTcp(const TcpAddress& address) {
  const std::string name = describe(address.address, address.length);
  kj::AutoCloseFd fd(
      ::socket(address.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return failure(name, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* bindTo = reinterpret_cast<const sockaddr*>(&address.address);
  if (::bind(fd.get(), bindTo, address.length) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return failure(name, errno);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return failure(name, errno);
  }
  return ListenSocket{kj::mv(fd), describe(bound, length)};
}

Result<ListenSocket> listenUnix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) {
    return Status(
        ErrorCode::kInvalidArgument,
        "listen.unix: " + path.string() + " is longer than the 107 bytes of a socket's path");
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  SPOLIA_RETURN_IF_ERROR(clearStale(path, address));
  kj::AutoCloseFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return failure(path.string(), errno);
  // Linux gives a bound socket the mode that it had before, so no moment has it open to others.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return failure(path.string(), errno);
  }
  return ListenSocket{kj::mv(fd), path.string()};
}

}  // namespace spolia::service
