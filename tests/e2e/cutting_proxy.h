// A proxy between client and server that cuts connections off after so many bytes. A thread of its
// own, ended by the destructor.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>

#include "tests/client/fake_server.h"

namespace spolia::test {

class CuttingProxy {
 public:
  // The first `cuts` connections are cut after `bytes` from the server.
  CuttingProxy(uint16_t serverPort, uint64_t bytes, int cuts)
      : serverPort_(serverPort), bytes_(bytes), cuts_(cuts), thread_([this] { run(); }) {}
  ~CuttingProxy() {
    stop_ = true;
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }

  std::string address() const { return listener_.address(); }
  int connections() const { return connections_; }

 private:
  void run() {
    while (!stop_) {
      const int client = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      const bool cut = connections_++ < cuts_;
      relay(client, cut ? bytes_ : UINT64_MAX);
      ::close(client);
    }
  }

  void relay(int client, uint64_t left) {
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(serverPort_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
      while (!stop_ && left > 0 && ::poll(ends.data(), 2, 50) >= 0) {
        if (ends[0].revents != 0 && pass(client, server, UINT64_MAX) == 0) break;
        if (ends[1].revents != 0) {
          const uint64_t passed = pass(server, client, left);
          if (passed == 0) break;
          left -= passed;
        }
      }
    }
    ::close(server);
  }

  static uint64_t pass(int from, int to, uint64_t most) {
    std::array<char, 65536> buffer;
    const ssize_t n = ::recv(from, buffer.data(), std::min<uint64_t>(most, buffer.size()), 0);
    if (n <= 0) return 0;
    for (ssize_t sent = 0; sent < n;) {
      const ssize_t m =
          ::send(to, buffer.data() + sent, static_cast<size_t>(n - sent), MSG_NOSIGNAL);
      if (m <= 0) return 0;
      sent += m;
    }
    return static_cast<uint64_t>(n);
  }

  MuteServer listener_;
  const uint16_t serverPort_;
  const uint64_t bytes_;
  const int cuts_;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace spolia::test
