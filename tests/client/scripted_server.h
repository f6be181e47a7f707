// A server of the real protocol on loopback that answers every fetch and getValue as a test says,
// and remembers what it was asked. A thread of its own, ended by the destructor.
#pragma once

#include <capnp/ez-rpc.h>
#include <kj/async.h>

#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include "client/protocol/spolia.capnp.h"
#include "client/protocol/wire_bytes.h"

namespace spolia::test {

class ScriptedServer {
 public:
  // Fills in the answer to any spec; called on the server's thread.
  using Answer = std::function<void(protocol::FetchAnswer::Builder)>;
  // What is sent with the answer to any spec, and to any getValue: without, those are not answered.
  struct Data {
    Bytes frames;
    std::optional<Bytes> value;
  };

  explicit ScriptedServer(Answer answer, Data data = {})
      : answer_(std::move(answer)), data_(std::move(data)) {
    auto port = port_.get_future();
    thread_ = std::thread([this] { run(); });
    address_ = "spolia://127.0.0.1:" + std::to_string(port.get());
  }
  ~ScriptedServer() {
    stop_->fulfill();
    thread_.join();
  }

  std::string address() const { return address_; }
  // Of the latest fetch.
  uint32_t deadlineMs() const { return deadlineMs_; }
  // How many getValue calls have come.
  uint32_t valuesAsked() const { return valuesAsked_; }
  void awaitValueAsked() const { valuesAsked_.wait(0); }

 private:
  class Session final : public protocol::Session::Server {
   public:
    explicit Session(ScriptedServer& server) : server_(server) {}

   protected:
    kj::Promise<void> fetch(FetchContext context) override {
      const auto params = context.getParams();
      server_.deadlineMs_ = params.getDeadlineMs();
      kj::Promise<void> sent = kj::READY_NOW;
      for (uint32_t i = 0; i < params.getSpecs().size(); ++i) {
        auto request = params.getSink().partRequest();
        auto part = request.initPart();
        part.setSpec(i);
        part.setLast(true);
        part.setData(protocol::dataOf(server_.data_.frames));
        server_.answer_(part.initAnswer());
        sent = sent.then([request = kj::mv(request)]() mutable { return request.send(); });
      }
      return sent;
    }
    kj::Promise<void> getValue(GetValueContext context) override {
      ++server_.valuesAsked_;
      server_.valuesAsked_.notify_all();
      if (!server_.data_.value) return kj::NEVER_DONE;
      auto request = context.getParams().getSink().partRequest();
      auto part = request.initPart();
      part.setLast(true);
      part.setData(protocol::dataOf(*server_.data_.value));
      auto answer = part.initAnswer();
      answer.setFound();
      answer.setTotalBytes(server_.data_.value->size());
      answer.initInfo().setKind(protocol::EntryKind::PROFILE);
      answer.getInfo().setId(context.getParams().getId());
      return request.send();
    }

   private:
    ScriptedServer& server_;
  };

  class Front final : public protocol::Spolia::Server {
   public:
    explicit Front(ScriptedServer& server) : server_(server) {}

   protected:
    kj::Promise<void> authenticate(AuthenticateContext context) override {
      context.getResults().setSession(kj::heap<Session>(server_));
      return kj::READY_NOW;
    }

   private:
    ScriptedServer& server_;
  };

  void run() {
    capnp::EzRpcServer server(kj::heap<Front>(*this), "127.0.0.1", 0);
    auto stop = kj::newPromiseAndCrossThreadFulfiller<void>();
    stop_ = kj::mv(stop.fulfiller);
    const unsigned port = server.getPort().wait(server.getWaitScope());
    port_.set_value(port);
    stop.promise.wait(server.getWaitScope());
  }

  const Answer answer_;
  const Data data_;
  std::promise<unsigned> port_;
  std::atomic<uint32_t> deadlineMs_{0};
  std::atomic<uint32_t> valuesAsked_{0};
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> stop_;
  std::string address_;
  std::thread thread_;
};

}  // namespace spolia::test
