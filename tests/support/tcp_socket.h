// A client's end of a TCP connection to loopback that sends and reads raw bytes, for tests of
// servers. One thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace spolia::test {

class TcpSocket {
 public:
  // Reads give up after `patienceSeconds`, which fails the test that waits. `receiveBytes`: of the
  // kernel's buffer, for a reader that soon holds up its server; 0: the default.
  explicit TcpSocket(uint16_t port, int patienceSeconds = 30, int receiveBytes = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{patienceSeconds, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receiveBytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receiveBytes, sizeof receiveBytes);
    }
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~TcpSocket() { ::close(fd_); }
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;

  bool connected() const { return connected_; }

  // False when the other side does not take it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Everything up to `mark`, or up to the end of the connection.
  std::string readUntil(std::string_view mark) {
    while (text_.find(mark) == std::string::npos && more()) {
    }
    return text_;
  }
  std::string readAll() {
    while (more()) {
    }
    return text_;
  }
  // Whether the other side hangs up while we are patient, whatever it says before.
  bool closedByServer() {
    while (more()) {
    }
    return ended_;
  }

 private:
  bool more() {
    char bytes[4096];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got > 0) text_.append(bytes, static_cast<size_t>(got));
    if (got == 0 || (got < 0 && errno == ECONNRESET)) ended_ = true;
    return got > 0;
  }

  const int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string text_;
};

}  // namespace spolia::test
