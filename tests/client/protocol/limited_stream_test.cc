#include "client/protocol/limited_stream.h"

#include <capnp/any.h>
#include <capnp/message.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace spolia::protocol {
namespace {

class LimitedStreamTest : public testing::Test {
 public:
  ~LimitedStreamTest() noexcept override {}  // KJ's members may throw where gtest may not

 protected:
  using Word32 = std::vector<uint32_t>;
  void raw(const Word32& words) {
    pipe_.ends[0]->write(words.data(), words.size() * sizeof(uint32_t)).wait(io_.waitScope);
  }
  kj::Promise<kj::Maybe<kj::Own<capnp::MessageReader>>> read() {
    capnp::MessageStream& stream = stream_;
    return stream.tryReadMessage(readerOptions(kMaxMessageBytes));
  }
  // What the stream has against what was sent.
  std::string complaint() {
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { read().wait(io_.waitScope); })) {
      return e->getDescription().cStr();
    }
    return "none";
  }

  kj::AsyncIoContext io_ = kj::setupAsyncIo();
  kj::TwoWayPipe pipe_ = io_.provider->newTwoWayPipe();
  kj::TimerImpl timer_{kj::origin<kj::TimePoint>()};
  ByteBudget budget_{kMaxMessageBytes};
  LimitedStream stream_{*pipe_.ends[1], timer_, budget_, StreamLimits{}};
  LimitedStream peer_{*pipe_.ends[0], timer_, budget_, StreamLimits{}};
};

TEST_F(LimitedStreamTest, MessagesOfManySizesComeThroughInOrder) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (size_t size : {0, 1, 8, 1000, 16000, 16384, 20000, 300000, 1000000, 5}) {
    capnp::MallocMessageBuilder message(16);  // small segments: several of them
    auto data = message.getRoot<capnp::AnyPointer>().initAs<capnp::Data>(size);
    for (auto& byte : data) byte = static_cast<kj::byte>(random());
    capnp::MessageStream& writer = peer_;
    auto written = writer.writeMessage(message).eagerlyEvaluate(nullptr);
    auto reader = KJ_ASSERT_NONNULL(read().wait(io_.waitScope));
    written.wait(io_.waitScope);
    EXPECT_TRUE(reader->getRoot<capnp::AnyPointer>().getAs<capnp::Data>() == data) << size;
    EXPECT_GE(budget_.used(), size);
  }
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(LimitedStreamTest, ManySmallMessagesInOneWrite) {
  capnp::MallocMessageBuilder message;
  message.getRoot<capnp::AnyPointer>().initAs<capnp::Data>(3);
  std::vector<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages(
      100, message.getSegmentsForOutput());
  capnp::MessageStream& writer = peer_;
  auto written =
      writer.writeMessages(kj::arrayPtr(messages.data(), messages.size())).eagerlyEvaluate(nullptr);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_TRUE(read().wait(io_.waitScope) != nullptr);
  }
}

TEST_F(LimitedStreamTest, EndBetweenMessagesIsAnEndAndInsideOneAFailure) {
  raw({0, 100, 1, 2});
  pipe_.ends[0]->shutdownWrite();
  EXPECT_NE(complaint().find("ended inside a message"), std::string::npos);
  auto clean = io_.provider->newTwoWayPipe();
  LimitedStream stream(*clean.ends[1], timer_, budget_, StreamLimits{});
  clean.ends[0]->shutdownWrite();
  capnp::MessageStream& end = stream;
  EXPECT_TRUE(end.tryReadMessage(capnp::ReaderOptions()).wait(io_.waitScope) == nullptr);
}

TEST_F(LimitedStreamTest, SegmentCountsOverTheLimitAreRefused) {
  raw({0xffffffff, 0});
  EXPECT_NE(complaint().find("4294967296 segments"), std::string::npos);
}

TEST_F(LimitedStreamTest, SizesOverTheLimitAreRefusedBeforeTheyAreAllocated) {
  raw({2, 0xffffffff, 0xffffffff, 0xffffffff});
  EXPECT_NE(complaint().find("bytes, the limit is"), std::string::npos);
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(LimitedStreamTest, MessageThatDoesNotEndIsGivenUp) {
  raw({0, 100, 1, 2});
  auto reading = read().eagerlyEvaluate(nullptr);
  EXPECT_FALSE(reading.poll(io_.waitScope));
  timer_.advanceTo(timer_.now() + StreamLimits{}.messageTime + 1 * kj::SECONDS);
  auto e = KJ_ASSERT_NONNULL(kj::runCatchingExceptions([&] { reading.wait(io_.waitScope); }));
  EXPECT_EQ(e.getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(LimitedStreamTest, IdleConnectionIsNotGivenUp) {
  auto reading = read().eagerlyEvaluate(nullptr);
  EXPECT_FALSE(reading.poll(io_.waitScope));
  timer_.advanceTo(timer_.now() + 1 * kj::DAYS);
  EXPECT_FALSE(reading.poll(io_.waitScope));
}

TEST_F(LimitedStreamTest, PeerThatDoesNotReadIsGivenUp) {
  std::vector<capnp::word> words(kMaxMessageBytes / sizeof(capnp::word));
  kj::ArrayPtr<const capnp::word> segment(words.data(), words.size());
  capnp::MessageStream& writer = stream_;
  auto writing = writer.writeMessage(kj::arrayPtr(&segment, 1)).eagerlyEvaluate(nullptr);
  EXPECT_FALSE(writing.poll(io_.waitScope));
  timer_.advanceTo(timer_.now() + StreamLimits{}.writeStall + 1 * kj::SECONDS);
  EXPECT_TRUE(kj::runCatchingExceptions([&] { writing.wait(io_.waitScope); }) != nullptr);
}

TEST_F(LimitedStreamTest, BudgetIsWaitedFor) {
  auto held = budget_.reserve(kMaxMessageBytes).wait(io_.waitScope);
  raw({0, 2, 0, 0, 0, 0});
  auto reading = read().eagerlyEvaluate(nullptr);
  EXPECT_FALSE(reading.poll(io_.waitScope));
  held.release();
  EXPECT_TRUE(reading.wait(io_.waitScope) != nullptr);
}

}  // namespace
}  // namespace spolia::protocol
