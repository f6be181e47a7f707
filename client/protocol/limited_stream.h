// LimitedStream: the MessageStream that both ends put under their RPC connections. Cap'n Proto
// 0.9.2 allocates what a message declares, takes any segment count and waits without end; this one
// checks the first words, caps segments and size, reserves from a byte budget before it allocates
// and has deadlines. A violation is an exception, which ends the connection and nothing else.
//
// One event loop. The socket, the timer and the budget outlive it; messages it gave out hold their
// reservation and may outlive it.
#pragma once

#include <capnp/serialize-async.h>
#include <kj/async-io.h>
#include <kj/timer.h>

#include "client/protocol/byte_budget.h"
#include "client/protocol/limits.h"

namespace spolia::protocol {

struct StreamLimits {
  size_t maxMessageBytes = kMaxMessageBytes;
  uint32_t maxSegments = kMaxSegments;
  // From a message's first byte to its last; an idle connection may wait for ever.
  kj::Duration messageTime = 30 * kj::SECONDS;
  // How long one message may take to be written, waiting for the peer to read.
  kj::Duration writeStall = 30 * kj::SECONDS;
};

// What a reader of messages of that size may traverse: amplification and nesting are bounded.
capnp::ReaderOptions readerOptions(size_t maxMessageBytes);

// `promise`, or a failure saying `what` once the time is over.
template <typename T>
kj::Promise<T> withDeadline(kj::Timer& timer, kj::Duration time, kj::Promise<T> promise,
                            kj::Exception::Type type, kj::StringPtr what) {
  return promise.exclusiveJoin(
      timer.afterDelay(time).then([type, what = kj::str(what)]() -> kj::Promise<T> {
        return kj::Exception(type, __FILE__, __LINE__, kj::str(what));
      }));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // nobody owns one through the base
class LimitedStream final : public capnp::MessageStream {
 public:
  LimitedStream(kj::AsyncIoStream& socket, kj::Timer& timer, ByteBudget& budget,
                const StreamLimits& limits);

  kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>> tryReadMessage(
      kj::ArrayPtr<kj::AutoCloseFd> fdSpace, capnp::ReaderOptions options,
      kj::ArrayPtr<capnp::word> scratchSpace) override;
  kj::Promise<void> writeMessage(
      kj::ArrayPtr<const int> fds,
      kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) override;
  kj::Promise<void> writeMessages(
      kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) override;
  kj::Maybe<int> getSendBufferSize() override { return static_cast<int>(kStreamWindowBytes); }
  kj::Promise<void> end() override;

  // When bytes last came in; of a dead peer this stands still.
  kj::TimePoint lastReceived() const { return lastReceived_; }

 private:
  using Words = kj::ArrayPtr<const capnp::word>;
  // Whether at least `bytes` are buffered; fewer at the end of the stream.
  kj::Promise<bool> fill(size_t bytes);
  kj::Promise<kj::Own<capnp::MessageReader>> readBody(capnp::ReaderOptions options);
  kj::Promise<void> writeFrom(kj::ArrayPtr<kj::ArrayPtr<const Words>> messages);

  kj::AsyncIoStream& socket_;
  kj::Timer& timer_;
  ByteBudget& budget_;
  const StreamLimits limits_;
  kj::TimePoint lastReceived_;
  // Holds headers and small messages; the bodies of large ones go to their own memory directly.
  kj::Array<kj::byte> buffer_ = kj::heapArray<kj::byte>(16u << 10);
  size_t begin_ = 0;  // of what is buffered and not used
  size_t end_ = 0;
};
#pragma GCC diagnostic pop

}  // namespace spolia::protocol
