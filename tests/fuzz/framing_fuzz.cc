// Hostile bytes as Cap'n Proto messages on a connection: LimitedStream gives messages within its
// limits or an exception, holds no more than its budget, and gives all of it back.
#include <capnp/any.h>
#include <capnp/message.h>
#include <kj/async-io.h>
#include <kj/timer.h>

#include "client/protocol/limited_stream.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::protocol {
namespace {

constexpr size_t kLimit = 64 << 10;

void readAll(kj::WaitScope& wait, kj::ArrayPtr<const kj::byte> bytes) {
  auto pipe = kj::newTwoWayPipe();
  kj::TimerImpl timer(kj::origin<kj::TimePoint>());
  ByteBudget budget(kLimit);
  StreamLimits limits;
  limits.maxMessageBytes = kLimit;
  LimitedStream stream(*pipe.ends[1], timer, budget, limits);
  auto sent = pipe.ends[0]
                  ->write(bytes.begin(), bytes.size())
                  .then([&] { pipe.ends[0]->shutdownWrite(); })
                  .eagerlyEvaluate([](kj::Exception&&) {});
  capnp::MessageStream& reader = stream;
  for (;;) {
    bool more = false;
    const auto failed = kj::runCatchingExceptions([&] {
      auto message = reader.tryReadMessage(readerOptions(kLimit)).wait(wait);
      FUZZ_CHECK(budget.used() <= kLimit);
      KJ_IF_MAYBE (m, message) {
        more = true;
        (*m)->getRoot<capnp::AnyPointer>().targetSize();
      }
    });
    if (failed != nullptr || !more) break;
  }
  FUZZ_CHECK(budget.used() == 0);
}

}  // namespace
}  // namespace spolia::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static kj::EventLoop loop;
  static kj::WaitScope wait(loop);
  spolia::protocol::readAll(wait, kj::arrayPtr(data, std::min<size_t>(size, 32 << 10)));
  return 0;
}
