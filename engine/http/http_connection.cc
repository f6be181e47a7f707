#include "engine/http/http_connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/version.hpp>
#include <sstream>

namespace spolia::engine {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

// A reader that leaves this much unread is treated as gone.
constexpr uint64_t kMostUnread = 4 << 20;
// How much of a refused request is still read, so that the client gets to see the answer instead of
// a reset connection.
constexpr uint64_t kMostDrained = 64 << 20;

class Channel : public ReplyChannel {
 public:
  explicit Channel(std::shared_ptr<HttpConnection> connection)
      : connection_(std::move(connection)) {}
  ~Channel() override {
    if (!ended_) connection_->post([](HttpConnection& c) { c.abandon(); });
  }
  void send(HttpResponse response) override {
    ended_ = true;
    connection_->post(
        [response = std::move(response)](HttpConnection& c) { c.sendResponse(response); });
  }
  void begin(std::string_view contentType) override {
    connection_->post(
        [type = std::string(contentType)](HttpConnection& c) { c.beginStream(type); });
  }
  void write(std::string text) override {
    connection_->post([text = std::move(text)](HttpConnection& c) { c.writeChunk(text); });
  }
  void end() override {
    ended_ = true;
    connection_->post([](HttpConnection& c) { c.endStream(); });
  }
  bool gone() const override { return connection_->gone(); }

 private:
  const std::shared_ptr<HttpConnection> connection_;
  bool ended_ = false;
};

}  // namespace

HttpConnection::HttpConnection(asio::ip::tcp::socket socket, std::shared_ptr<HttpShared> shared)
    : stream_(std::move(socket)), shared_(std::move(shared)) {
  ++shared_->open;
}

HttpConnection::~HttpConnection() {
  --shared_->open;
}

void HttpConnection::start() {
  readHeader(shared_->config.headerTime);
}

void HttpConnection::turnAway() {
  refuseWith(503, "too many connections; try again later");
}

void HttpConnection::close() {
  gone_ = true;
  closing_ = true;
  beast::error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.close();
}

void HttpConnection::post(std::function<void(HttpConnection&)> action) {
  asio::post(stream_.get_executor(),
             [self = shared_from_this(), action = std::move(action)] { action(*self); });
}

void HttpConnection::readHeader(std::chrono::milliseconds patience) {
  parser_.emplace();
  parser_->header_limit(shared_->config.headerBytes);
  parser_->body_limit(shared_->config.bodyBytes);
  stream_.expires_after(patience);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](Error error, size_t) { self->onHeader(error); });
}

void HttpConnection::onHeader(Error error) {
  if (error) return refuse(error, false);
  const auto& request = parser_->get();
  http11_ = request.version() >= 11;
  if (beast::iequals(request[http::field::expect], "100-continue")) {
    enqueue("HTTP/1.1 100 Continue\r\n\r\n");
  }
  readBody();
}

void HttpConnection::readBody() {
  stream_.expires_after(shared_->config.bodyTime);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, size_t) { self->onBody(error); });
}

void HttpConnection::onBody(Error error) {
  if (error) return refuse(error, true);
  dispatch();
}

void HttpConnection::refuse(Error error, bool inBody) {
  const bool begun = inBody || buffer_.size() > 0 || (parser_ && parser_->got_some());
  if (error == http::error::body_limit) {
    return refuseWith(
        413, "the body is longer than " + std::to_string(shared_->config.bodyBytes) + " bytes");
  }
  if (error == http::error::header_limit) {
    return refuseWith(
        431, "the header is longer than " + std::to_string(shared_->config.headerBytes) + " bytes");
  }
  if (error == beast::error::timeout) {
    // The library has closed the stream.
    return close();
  }
  if (begun && error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return refuseWith(400, "not a valid HTTP request: " + error.message());
  }
  close();
}

void HttpConnection::refuseWith(unsigned status, const std::string& why) {
  keepAlive_ = false;
  answering_ = true;
  HttpResponse response =
      shared_->config.refuse ? shared_->config.refuse(status, why) : HttpResponse{};
  response.status = status;
  sendResponse(response);
}

void HttpConnection::dispatch() {
  auto& message = parser_->get();
  keepAlive_ = message.keep_alive();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  request.path = std::string(target.substr(0, target.find('?')));
  const auto authorization = message.find(http::field::authorization);
  if (authorization != message.end()) request.authorization = std::string(authorization->value());
  request.body = std::move(message.body());
  answering_ = true;
  stream_.expires_never();
  watchForLeaving();
  shared_->handler(std::move(request), std::make_shared<Channel>(shared_from_this()));
}

// While an answer is computed nothing is read, so a client that leaves would not be noticed.
void HttpConnection::watchForLeaving() {
  if (watching_ || closing_) return;
  watching_ = true;
  stream_.socket().async_wait(
      asio::ip::tcp::socket::wait_read,
      [self = shared_from_this()](Error error) { self->onReadable(error); });
}

void HttpConnection::onReadable(Error error) {
  watching_ = false;
  if (error || closing_ || !answering_) return;
  char byte;
  Error failure;
  const size_t got = stream_.socket().receive(asio::buffer(&byte, 1),
                                              asio::ip::tcp::socket::message_peek, failure);
  // Bytes are the next request, which waits its turn: nothing more can be told then.
  if (failure == asio::error::would_block) return watchForLeaving();
  if (failure || got == 0) close();
}

std::string HttpConnection::headText(unsigned status, const std::string& contentType,
                                     std::optional<uint64_t> length,
                                     const HttpResponse* extra) const {
  const std::string_view reason = http::obsolete_reason(http::int_to_status(status)).data();
  std::string out = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) + "\r\n";
  const auto set = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  set("Server", "spolia-engine");
  set("Content-Type", contentType);
  if (length) {
    set("Content-Length", std::to_string(*length));
  } else if (http11_) {
    set("Transfer-Encoding", "chunked");
  }
  set("Connection", keepAlive_ ? "keep-alive" : "close");
  if (extra && extra->retryAfterSeconds > 0) {
    set("Retry-After", std::to_string(extra->retryAfterSeconds));
  }
  if (extra && !extra->allow.empty()) set("Allow", extra->allow);
  if (extra && !extra->authenticate.empty()) set("WWW-Authenticate", extra->authenticate);
  return out + "\r\n";
}

void HttpConnection::sendResponse(const HttpResponse& response) {
  if (!answering_ || streaming_) return;
  replyDone_ = true;
  enqueue(headText(response.status, response.contentType, response.body.size(), &response) +
          response.body);
}

void HttpConnection::beginStream(const std::string& contentType) {
  if (!answering_ || streaming_) return;
  streaming_ = true;
  if (!http11_) keepAlive_ = false;  // the end of the connection is the end of the body
  enqueue(headText(200, contentType, std::nullopt, nullptr));
}

void HttpConnection::writeChunk(std::string text) {
  if (!streaming_ || text.empty()) return;
  if (!http11_) return enqueue(std::move(text));
  std::ostringstream size;
  size << std::hex << text.size();
  enqueue(size.str() + "\r\n" + text + "\r\n");
}

void HttpConnection::endStream() {
  if (!streaming_) return;
  streaming_ = false;
  replyDone_ = true;
  enqueue(http11_ ? "0\r\n\r\n" : "");
}

void HttpConnection::abandon() {
  if (answering_ && !replyDone_) close();
}

void HttpConnection::enqueue(std::string bytes) {
  if (closing_) return;
  outgoingBytes_ += bytes.size();
  outgoing_.push_back(std::move(bytes));
  if (outgoingBytes_ > kMostUnread && streaming_) return close();
  if (!writing_) writeNext();
}

void HttpConnection::writeNext() {
  writing_ = true;
  stream_.expires_after(shared_->config.writeTime);
  asio::async_write(stream_, asio::buffer(outgoing_.front()),
                    [self = shared_from_this()](Error error, size_t) { self->onWritten(error); });
}

void HttpConnection::onWritten(Error error) {
  writing_ = false;
  if (closing_) return;
  if (error) return close();
  outgoingBytes_ -= outgoing_.front().size();
  outgoing_.pop_front();
  if (!outgoing_.empty()) return writeNext();
  if (replyDone_) return finishReply();
  // Still to come: the rest of the request, or of the answer.
  if (answering_) {
    stream_.expires_never();
  } else {
    stream_.expires_after(shared_->config.bodyTime);
  }
}

void HttpConnection::finishReply() {
  replyDone_ = answering_ = false;
  if (!keepAlive_) return lingerAndClose();
  readHeader(shared_->config.idleTime);
}

// Closing while the client still sends would reset the connection and lose the answer on its way.
void HttpConnection::lingerAndClose() {
  Error ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  stream_.expires_after(shared_->config.headerTime);
  drain();
}

void HttpConnection::drain() {
  stream_.async_read_some(buffer_.prepare(64 << 10),
                          [self = shared_from_this()](Error error, size_t got) {
                            self->drained_ += got;
                            if (error || self->drained_ > kMostDrained) return self->close();
                            self->drain();
                          });
}

}  // namespace spolia::engine
