// HttpConnection: one client. Internal to http_server.cc: this header holds the HTTP library.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "engine/http/http_server.h"

namespace spolia::engine {

// What all connections share. Read-only but for `open`, which the io thread alone touches.
struct HttpShared {
  HttpServer::Config config;
  HttpServer::Handler handler;
  std::atomic<size_t> open{0};
};

// Reads a request, hands it on, writes its answer, and again. Everything but ReplyChannel's methods
// runs on the io thread; those post there. Kept alive by its pending operations and its channel.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(boost::asio::ip::tcp::socket socket, std::shared_ptr<HttpShared> shared);
  ~HttpConnection();

  void start();
  // Answers 503 and closes.
  void turnAway();
  void close();
  bool gone() const { return gone_; }

  // Of the answer to the current request; from any thread.
  void post(std::function<void(HttpConnection&)> action);
  void sendResponse(const HttpResponse& response);
  void beginStream(const std::string& contentType);
  void writeChunk(std::string text);
  void endStream();
  void abandon();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Error = boost::beast::error_code;

  void readHeader(std::chrono::milliseconds patience);
  void onHeader(Error error);
  void readBody();
  void onBody(Error error);
  void refuse(Error error, bool inBody);
  void refuseWith(unsigned status, const std::string& why);
  void dispatch();
  void watchForLeaving();
  void onReadable(Error error);
  void enqueue(std::string bytes);
  void writeNext();
  void onWritten(Error error);
  void finishReply();
  void lingerAndClose();
  void drain();
  std::string headText(unsigned status, const std::string& contentType,
                       std::optional<uint64_t> length, const HttpResponse* extra) const;

  boost::beast::tcp_stream stream_;
  const std::shared_ptr<HttpShared> shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::deque<std::string> outgoing_;
  uint64_t outgoingBytes_ = 0;
  bool writing_ = false;
  bool answering_ = false;  // a request is with the handler
  bool streaming_ = false;  // begin() came, end() did not
  bool replyDone_ = false;  // the answer is complete in outgoing_
  bool keepAlive_ = false;
  bool http11_ = true;
  bool watching_ = false;
  bool closing_ = false;
  std::atomic<bool> gone_{false};
  uint64_t drained_ = 0;
};

}  // namespace spolia::engine
