// FetchStream: one running fetch (or getValue) call. Reads ahead of what it sends, within the byte
// budgets, and sends parts in the order asked, waiting for the peer to take them.
//
// One event loop; lives as long as the promise of run(). Dropping that stops it; reads under way
// end in nothing.
#pragma once

#include <deque>
#include <vector>

#include "client/protocol/spolia.capnp.h"
#include "server/service/service_context.h"

namespace spolia::service {

struct FetchAsk {
  ChunkId id;
  codec::KvRange range;
  uint64_t knownHeader = 0;
  enum class What { kFrames, kValue } what = What::kFrames;
};

class FetchStream {
 public:
  struct Config {
    ServiceContext& service;
    Peer& peer;
    const SessionState& session;
    Deadline deadline = kNoDeadline;
  };
  FetchStream(const Config& config, std::vector<FetchAsk> asks, protocol::FetchSink::Client sink);

  kj::Promise<void> run();

 private:
  // What was read for one ask.
  struct Read {
    HeldBytes held;
    codec::ChunkCompletion data;
    AlignedBuffer header;  // as stored, when the client lacks it
    uint64_t tag = 0;
    std::vector<ByteSpan> pieces;  // of `data`, in the order they are sent
    uint64_t total = 0;            // bytes of the pieces
    size_t piece = 0;              // the next to send, from `offset` on
    size_t offset = 0;
  };
  kj::Duration left() const;
  kj::Promise<HeldBytes> hold(uint64_t bytes);
  kj::Promise<kj::Own<Read>> read(const FetchAsk& ask);
  kj::Promise<kj::Own<Read>> addHeader(const FetchAsk& ask, kj::Own<Read> read);
  kj::Promise<void> sendNext();
  kj::Promise<void> send(uint32_t spec, kj::Own<Read> read, bool first);
  static kj::Own<Read> missed(Status status);
  static void cutUp(Read& read, FetchAsk::What what);
  static void copyNext(Read& read, kj::ArrayPtr<kj::byte> out);
  void readAhead();

  const Config config_;
  const std::vector<FetchAsk> asks_;
  protocol::FetchSink::Client sink_;
  std::deque<kj::Promise<kj::Own<Read>>> ahead_;
  size_t begun_ = 0;
  uint32_t sent_ = 0;
};

}  // namespace spolia::service
