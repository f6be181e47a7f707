// Servers that misbehave: they accept and say nothing, or pass bytes on and cut them off. Threads
// of their own; ended by the destructor.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "codec/base/check.h"

namespace spolia::test {

// Listens on loopback and lets connections wait in the backlog: the peer connects, nobody answers.
class MuteServer {
 public:
  MuteServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    SPOLIA_CHECK(::bind(fd_, plain, length) == 0 && ::listen(fd_, 16) == 0);
    SPOLIA_CHECK(::getsockname(fd_, plain, &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~MuteServer() { ::close(fd_); }
  MuteServer(const MuteServer&) = delete;
  MuteServer& operator=(const MuteServer&) = delete;

  int fd() const { return fd_; }
  std::string address() const { return "spolia://127.0.0.1:" + std::to_string(port_); }

 private:
  const int fd_;
  uint16_t port_ = 0;
};

// Accepts one connection after another and resets each once the peer has sent something.
class ResettingServer {
 public:
  ResettingServer() : thread_([this] { run(); }) {}
  ~ResettingServer() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }

  std::string address() const { return listener_.address(); }

 private:
  void run() {
    while (true) {
      const int peer = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) return;
      char byte;
      [[maybe_unused]] const auto got = ::recv(peer, &byte, 1, 0);
      const linger reset{1, 0};
      ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      ::close(peer);
    }
  }

  MuteServer listener_;
  std::thread thread_;
};

}  // namespace spolia::test
