#include "engine/http/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <vector>

#include "engine/http/http_connection.h"

namespace spolia::engine {

namespace asio = boost::asio;
using Tcp = boost::asio::ip::tcp;
using Error = boost::system::error_code;

class HttpServer::Impl {
 public:
  Impl(Config config, Handler handler)
      : shared_(std::make_shared<HttpShared>()), acceptor_(io_), pause_(io_) {
    shared_->config = std::move(config);
    shared_->handler = std::move(handler);
  }

  ~Impl() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      Error ignored;
      acceptor_.close(ignored);
      pause_.cancel();
      for (const auto& weak : connections_) {
        if (const auto connection = weak.lock()) connection->close();
      }
      work_.reset();
      io_.stop();
    });
    thread_.join();
  }

  Status listen() {
    const Config& config = shared_->config;
    const std::string name = config.address + ":" + std::to_string(config.port);
    Error error;
    const auto address = asio::ip::make_address(config.address, error);
    if (error) {
      return Status(ErrorCode::kInvalidArgument,
                    "\"" + config.address + "\" is no IP address, expected e.g. 127.0.0.1");
    }
    const Tcp::endpoint endpoint(address, config.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return Status(ErrorCode::kUnavailable, "cannot listen on " + name + ": " + error.message());
    }
    port_ = acceptor_.local_endpoint(error).port();
    accept();
    thread_ = std::thread([this] { io_.run(); });
    return Status();
  }

  uint16_t port() const { return port_; }
  size_t connections() const { return shared_->open; }

 private:
  void accept() {
    acceptor_.async_accept([this](Error error, Tcp::socket socket) { onAccept(error, socket); });
  }

  void onAccept(Error error, Tcp::socket& socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) return pauseAccepting();
    Error ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    socket.non_blocking(true, ignored);
    const bool full = shared_->open >= shared_->config.connections;
    auto connection = std::make_shared<HttpConnection>(std::move(socket), shared_);
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
    connections_.push_back(connection);
    full ? connection->turnAway() : connection->start();
    accept();
  }

  // Out of descriptors, most likely: they come back, and asking at once again would only spin.
  void pauseAccepting() {
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([this](Error error) {
      if (!error) accept();
    });
  }

  const std::shared_ptr<HttpShared> shared_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::vector<std::weak_ptr<HttpConnection>> connections_;
  std::thread thread_;
  uint16_t port_ = 0;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(Config config, Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(config), std::move(handler));
  SPOLIA_RETURN_IF_ERROR(impl->listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const {
  return impl_->port();
}
size_t HttpServer::connections() const {
  return impl_->connections();
}

}  // namespace spolia::engine
