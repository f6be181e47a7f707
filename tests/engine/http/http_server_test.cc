#include "engine/http/http_server.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/support/tcp_socket.h"

namespace spolia::engine {
namespace {

using namespace std::chrono_literals;
using spolia::test::TcpSocket;

// Waits for what another thread is about to do; false after 20 s.
bool becomes(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

class HttpServerTest : public ::testing::Test {
 protected:
  // "/echo" says method and body at once; what else is asked for waits in channels_ for the test.
  void start(HttpServer::Config config = {}) {
    config.refuse = [](unsigned status, std::string why) {
      HttpResponse response;
      response.status = status;
      response.body = "refused: " + why;
      return response;
    };
    auto server = HttpServer::start(std::move(config), [this](HttpRequest request, auto channel) {
      if (request.path == "/echo") {
        HttpResponse response;
        response.body = request.method + " " + request.body;
        return channel->send(std::move(response));
      }
      const std::lock_guard lock(mutex_);
      channels_.push_back(std::move(channel));
      arrived_.notify_all();
    });
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }
  std::shared_ptr<ReplyChannel> nextChannel() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, 20s, [this] { return !channels_.empty(); });
    if (channels_.empty()) return nullptr;
    auto out = std::move(channels_.front());
    channels_.erase(channels_.begin());
    return out;
  }
  void expectAnswers() {
    TcpSocket socket(server_->port());
    socket.send(get("/echo"));
    EXPECT_TRUE(socket.readUntil("GET ").ends_with("GET ")) << "the server does not go on";
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::shared_ptr<ReplyChannel>> channels_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, WhoeverDawdlesIsHungUpOn) {
  HttpServer::Config config;
  config.headerTime = config.bodyTime = config.idleTime = 50ms;
  start(config);
  TcpSocket silent(server_->port()), header(server_->port()), body(server_->port()),
      idle(server_->port());
  header.send("GET /echo HTTP/1.1\r\nHo");
  body.send("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf");
  idle.send(get("/echo"));
  EXPECT_TRUE(silent.closedByServer());
  EXPECT_TRUE(header.closedByServer());
  EXPECT_TRUE(body.closedByServer());
  EXPECT_TRUE(idle.closedByServer());
  EXPECT_NE(idle.readAll().find("200 OK"), std::string::npos) << "was answered before it idled";
  EXPECT_TRUE(becomes([&] { return server_->connections() == 0; }));
}

// The deadlines are for clients: an answer may take as long as it takes.
TEST_F(HttpServerTest, AnswersMayTakeLongerThanAnyDeadline) {
  HttpServer::Config config;
  config.headerTime = config.bodyTime = config.idleTime = config.writeTime = 200ms;
  start(config);
  TcpSocket waiting(server_->port()), dawdling(server_->port());
  waiting.send(get("/slow"));
  const auto channel = nextChannel();
  ASSERT_TRUE(channel);
  for (int i = 0; i < 2; ++i) {  // each passes a deadline
    EXPECT_TRUE(TcpSocket(server_->port()).closedByServer());
  }
  EXPECT_FALSE(channel->gone());
  HttpResponse response;
  response.body = "late";
  channel->send(response);
  EXPECT_TRUE(waiting.readUntil("late").ends_with("late"));
}

TEST_F(HttpServerTest, AClientThatLeavesIsNoticed) {
  start();
  std::shared_ptr<ReplyChannel> channel;
  {
    TcpSocket socket(server_->port());
    socket.send(get("/stream"));
    channel = nextChannel();
    ASSERT_TRUE(channel);
    EXPECT_FALSE(channel->gone());
    channel->begin("text/plain");
    channel->write("first");
    socket.readUntil("first");
  }
  EXPECT_TRUE(becomes([&] { return channel->gone(); }));
  channel->write("into the void");
  channel->end();
  channel.reset();
  EXPECT_TRUE(becomes([&] { return server_->connections() == 0; }));
  expectAnswers();
}

TEST_F(HttpServerTest, AReaderThatDoesNotReadIsDropped) {
  start();
  TcpSocket socket(server_->port(), 30, 4096);
  socket.send(get("/stream"));
  const auto channel = nextChannel();
  ASSERT_TRUE(channel);
  channel->begin("text/plain");
  const std::string piece(64 << 10, 'x');
  int pieces = 0;
  EXPECT_TRUE(becomes([&] {
    if (pieces < 1000) ++pieces, channel->write(piece);
    return channel->gone();
  }));
  expectAnswers();
}

TEST_F(HttpServerTest, AnAnswerThatBreaksOffIsSeenToBreakOff) {
  start();
  TcpSocket socket(server_->port()), unanswered(server_->port());
  socket.send(get("/stream"));
  auto channel = nextChannel();
  ASSERT_TRUE(channel);
  channel->begin("text/plain");
  channel->write("half");
  channel.reset();
  const std::string text = socket.readAll();
  EXPECT_EQ(text.find("0\r\n\r\n"), std::string::npos) << "looks complete: " << text;
  unanswered.send(get("/never"));
  ASSERT_TRUE(nextChannel());
  EXPECT_TRUE(unanswered.closedByServer());
  EXPECT_EQ(unanswered.readAll(), "");
}

TEST_F(HttpServerTest, LimitsAreToldInOurForm) {
  HttpServer::Config config;
  config.headerBytes = 1024;
  config.bodyBytes = 100;
  config.connections = 8;
  start(config);
  const auto reply = [&](const std::string& request) {
    TcpSocket socket(server_->port());
    socket.send(request);
    return socket.readAll();
  };
  const std::string post = "POST /echo HTTP/1.1\r\nConnection: close\r\n";
  EXPECT_NE(reply(post + "Content-Length: 100\r\n\r\n" + std::string(100, 'x')).find("200 OK"),
            std::string::npos);
  const std::string body = reply(post + "Content-Length: 101\r\n\r\n" + std::string(101, 'x'));
  EXPECT_TRUE(body.starts_with("HTTP/1.1 413 ")) << body;
  EXPECT_NE(body.find("refused: the body is longer than 100 bytes"), std::string::npos) << body;
  EXPECT_TRUE(reply("GET /echo HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(reply("GET /echo\x01 HTTP/9.9\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(reply(post + "Content-Length: -1\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(reply(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(becomes([&] { return server_->connections() == 0; }));
  expectAnswers();
}

// What one reader of a connection takes for a body and another for the next request.
TEST_F(HttpServerTest, LengthsThatCanBeReadTwoWaysAreRefused) {
  start();
  const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const std::string& head :
       {std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        std::string("Content-Length: 0\r\nContent-Length: 44\r\n\r\n"),
        std::string("Content-Length: +0\r\n\r\n"), std::string("Content-Length: 0, 44\r\n\r\n"),
        std::string("Content-Length: 18446744073709551616\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nx\r\n0\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n")}) {
    TcpSocket socket(server_->port());
    socket.send(post + head + smuggled);
    const std::string reply = socket.readAll();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 400 ") || reply.starts_with("HTTP/1.1 413 "))
        << head << reply;
    EXPECT_EQ(reply.find("HTTP/1.1", 1), std::string::npos) << head << "one answer, then the end";
  }
  EXPECT_TRUE(channels_.empty());
  expectAnswers();
}

TEST_F(HttpServerTest, ManyHeadersAndEndlessOnesAreRefused) {
  start();
  std::string many = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 10'000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  TcpSocket crowd(server_->port());
  crowd.send(many + "\r\n");
  EXPECT_TRUE(crowd.readAll().starts_with("HTTP/1.1 431 "));
  TcpSocket endless(server_->port());
  ASSERT_TRUE(endless.send("GET /echo HTTP/1.1\r\nX: "));
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 100 && endless.send(piece); ++i) {
  }
  expectAnswers();
  EXPECT_TRUE(becomes([&] { return server_->connections() <= 1; }));
}

TEST_F(HttpServerTest, StoppingHangsUpOnEveryone) {
  start();
  TcpSocket silent(server_->port()), kept(server_->port());
  kept.send(get("/echo"));
  kept.readUntil("GET ");
  server_.reset();
  EXPECT_TRUE(silent.closedByServer());
  EXPECT_TRUE(kept.closedByServer());
}

TEST(HttpServer, AddressesThatCannotBeListenedOn) {
  const auto failure = [](const std::string& address, uint16_t port) {
    HttpServer::Config config;
    config.address = address;
    config.port = port;
    const auto server = HttpServer::start(config, [](HttpRequest, auto) {});
    EXPECT_FALSE(server.ok()) << address;
    return server.ok() ? Status() : server.status();
  };
  EXPECT_EQ(failure("localhost", 0).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure("300.0.0.1", 0).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure("192.0.2.1", 0).code(), ErrorCode::kUnavailable) << "not an address of ours";
  const auto first = HttpServer::start({}, [](HttpRequest, auto) {});
  ASSERT_TRUE(first.ok());
  const Status taken = failure("127.0.0.1", (*first)->port());
  EXPECT_EQ(taken.code(), ErrorCode::kUnavailable);
  EXPECT_NE(taken.message().find(std::to_string((*first)->port())), std::string::npos);
}

}  // namespace
}  // namespace spolia::engine
