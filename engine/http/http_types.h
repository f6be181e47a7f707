// Requests and replies of the HTTP server, without the library behind it. Value types, and the one
// handle by which a request is answered.
#pragma once

#include <string>
#include <string_view>

namespace spolia::engine {

struct HttpRequest {
  std::string method;         // "GET"
  std::string path;           // without the query
  std::string authorization;  // the header of that name; empty: none
  std::string body;
};

struct HttpResponse {
  unsigned status = 200;
  std::string contentType = "application/json";
  std::string body;
  unsigned retryAfterSeconds = 0;  // header Retry-After; 0: none
  std::string allow;               // header Allow; empty: none
  std::string authenticate;        // header WWW-Authenticate; empty: none
};

// Answers one request. Any thread. Either send() once, or begin(), write() as often as needed, and
// end(). What is written behind a client that has left goes nowhere. A channel that is destroyed
// without an end closes the connection, so that the client sees that something is missing.
class ReplyChannel {
 public:
  virtual ~ReplyChannel() = default;

  virtual void send(HttpResponse response) = 0;
  // Status 200 and a body of unknown length.
  virtual void begin(std::string_view contentType) = 0;
  virtual void write(std::string text) = 0;
  virtual void end() = 0;
  // Whether the client has left, or does not read: what is computed for it is in vain.
  virtual bool gone() const = 0;
};

}  // namespace spolia::engine
