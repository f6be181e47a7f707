// HttpServer: HTTP/1.1 with limits and deadlines. It knows nothing of what it serves: each complete
// request goes to the handler, on the server's one thread, with a channel for its answer; the
// handler must not block. Answers may come later and from other threads.
//
// Bad or oversized requests never reach the handler; they are answered in the form that
// `Config::refuse` makes, and the connection is closed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "codec/base/result.h"
#include "engine/http/http_types.h"

namespace spolia::engine {

class HttpServer {
 public:
  struct Config {
    std::string address = "127.0.0.1";
    uint16_t port = 0;  // 0: any free one
    uint32_t headerBytes = 16 << 10;
    uint64_t bodyBytes = 8 << 20;
    size_t connections = 256;  // beyond it: 503
    // For a whole header, for a whole body, for the client to take what it is sent, and for the
    // next request on a connection.
    std::chrono::milliseconds headerTime{10'000};
    std::chrono::milliseconds bodyTime{30'000};
    std::chrono::milliseconds writeTime{30'000};
    std::chrono::milliseconds idleTime{60'000};
    // The answer to what is refused here: 400, 413, 431 or 503, and why. A client that exceeds a
    // deadline is hung up on.
    std::function<HttpResponse(unsigned status, std::string why)> refuse;
  };
  using Handler = std::function<void(HttpRequest request, std::shared_ptr<ReplyChannel> channel)>;

  // Listens and starts the thread. kInvalidArgument for an address that is none; kUnavailable when
  // it is taken or not ours, naming it.
  static Result<std::unique_ptr<HttpServer>> start(Config config, Handler handler);
  // Closes every connection and joins the thread. No channel may be left by then: whoever computes
  // answers stops first.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  size_t connections() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spolia::engine
