#include "server/tiers/payload_reader.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/support/filled_store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::tiers {
namespace {

using Interest = PayloadReader::Interest;
constexpr uint64_t kReadBlock = MemoryTier::kBlockBytes;

constexpr auto payloadOf = test::storePayload;

class PayloadReaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<store::Store> open() const {
    store::StoreConfig config;
    config.directory = directory_.path() / "store";
    config.capacityBytes = 64u << 20;
    config.segmentBytes = 4u << 20;
    auto opened = store::Store::open(config);
    EXPECT_TRUE(opened.ok()) << opened.status().toString();
    return std::move(*opened);
  }

  static StoreKey keyOf(uint64_t n) {
    StoreKey key;
    key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
    return key;
  }
  // Puts the payload and tells where it is.
  PayloadSource put(uint64_t key, ByteSpan payload) {
    store::PutRequest request;
    request.meta.key = keyOf(key);
    request.meta.kind = 1;
    request.payload = AlignedBuffer::copyOf(payload);
    request.policy = store::PutPolicy::kReplace;
    store_->submitPut(std::move(request), 0, puts_);
    EXPECT_TRUE(puts_.waitPop().status.ok());
    const auto found = store_->find(keyOf(key));
    return {keyOf(key), (**found).version, (**found).payloadBytes};
  }
  void settle() {
    while (!reader_.idle()) {
      pollfd queue{reader_.eventFd(), POLLIN, 0};
      ASSERT_EQ(::poll(&queue, 1, 60'000), 1);
      reader_.drain();
    }
  }
  PayloadRead take() {
    EXPECT_FALSE(answers_.empty());
    PayloadRead read = std::move(answers_.front());
    answers_.pop_front();
    return read;
  }
  PayloadRead read(const PayloadSource& source, std::vector<PayloadRange> ranges) {
    reader_.read(source, std::move(ranges), Interest::kAsked, 1);
    settle();
    return take();
  }
  uint64_t diskBytes() const { return store_->figures().bytesRead; }

  test::TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_ = open();
  store::StoreQueue puts_;
  std::deque<PayloadRead> answers_;
  MemoryTier memory_{8 << 20};
  PayloadReader reader_{*store_, memory_, [this](uint64_t, PayloadRead read) {
                          answers_.push_back(std::move(read));
                        }};
};

Bytes expected(ByteSpan payload, const std::vector<PayloadRange>& ranges) {
  Bytes out;
  for (const PayloadRange& range : ranges) {
    const uint64_t begin = std::min<uint64_t>(range.offset, payload.size());
    const ByteSpan part = payload.subspan(begin);
    const ByteSpan clipped = part.first(std::min<uint64_t>(range.length, part.size()));
    out.insert(out.end(), clipped.begin(), clipped.end());
  }
  return out;
}

// Whatever of it is in memory, on its way or on the disk only.
TEST_F(PayloadReaderTest, RandomRangesAreRightInEveryState) {
  constexpr uint64_t kSeed = 11;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  std::vector<Bytes> payloads;
  std::vector<PayloadSource> sources;
  for (uint64_t i = 0; i < 12; ++i) {
    payloads.push_back(payloadOf(i, i == 0 ? 1 : random() % (20 * kReadBlock)));
    sources.push_back(put(i, payloads[i]));
  }
  std::deque<Bytes> wanted;
  uint64_t fromMemory = 0, mixed = 0;
  const auto check = [&] {
    while (!answers_.empty()) {
      const PayloadRead answer = take();
      ASSERT_TRUE(answer.status.ok()) << answer.status.toString();
      ASSERT_FALSE(answer.replaced);
      // Answers may overtake one another: their bytes tell which they are.
      const auto match = std::ranges::find_if(
          wanted, [&](const Bytes& bytes) { return std::ranges::equal(bytes, answer.range()); });
      ASSERT_NE(match, wanted.end());
      wanted.erase(match);
      fromMemory += answer.tier == codec::Tier::kMemory;
      mixed += answer.remembered && answer.tier == codec::Tier::kDisk;
      if (answer.tier == codec::Tier::kMemory) {
        ASSERT_EQ(answer.bytesRead, 0u);
      }
    }
  };
  for (int round = 0; round < 400; ++round) {
    const size_t which = random() % payloads.size();
    std::vector<PayloadRange> ranges;
    uint64_t at = 0;
    for (uint64_t n = random() % 5; n > 0; --n) {
      at += random() % (4 * kReadBlock);
      ranges.push_back({at, random() % (3 * kReadBlock)});
      at += ranges.back().length;
    }
    wanted.push_back(expected(payloads[which], ranges));
    if (random() % 8 == 0) reader_.readAhead(sources[which]);
    reader_.read(sources[which], ranges, Interest::kAsked, 1);
    if (random() % 3 == 0) settle();
    check();
    if (random() % 16 == 0) memory_.drop(sources[random() % sources.size()].key);
  }
  settle();
  check();
  EXPECT_TRUE(wanted.empty());
  EXPECT_GT(fromMemory, 40u);
  EXPECT_GT(mixed, 10u);
}

TEST_F(PayloadReaderTest, TheSecondReadBringsItIntoMemory) {
  const Bytes payload = payloadOf(1, 5 * kReadBlock + 100);
  const PayloadSource source = put(1, payload);
  const std::vector<PayloadRange> whole = {{0, payload.size()}};
  EXPECT_EQ(read(source, whole).tier, codec::Tier::kDisk);
  EXPECT_EQ(read(source, whole).tier, codec::Tier::kDisk);
  const uint64_t before = diskBytes();
  const PayloadRead third = read(source, whole);
  EXPECT_EQ(third.tier, codec::Tier::kMemory);
  EXPECT_TRUE(std::ranges::equal(third.range(), payload));
  EXPECT_EQ(diskBytes(), before);
  // A part that was asked for in other ranges, too.
  EXPECT_EQ(read(source, {{kReadBlock - 5, 10}, {3 * kReadBlock, 7}}).tier, codec::Tier::kMemory);
}

TEST_F(PayloadReaderTest, ReadsInPassingAreNoReasonToHold) {
  const Bytes payload = payloadOf(1, kReadBlock);
  const PayloadSource source = put(1, payload);
  for (int i = 0; i < 4; ++i) {
    reader_.read(source, {{0, 100}}, Interest::kPassing, 1);
    settle();
    EXPECT_EQ(take().tier, codec::Tier::kDisk);
  }
}

TEST_F(PayloadReaderTest, WhatIsOnItsWayIsNotReadAgain) {
  const Bytes payload = payloadOf(1, 10 * kReadBlock);
  const PayloadSource source = put(1, payload);
  const uint64_t before = diskBytes();
  const std::vector<std::vector<PayloadRange>> asked = {{{0, 4 * kReadBlock}},
                                                        {{kReadBlock, 100}},
                                                        {{3 * kReadBlock, 2 * kReadBlock}},
                                                        {{0, 6 * kReadBlock}}};
  for (const auto& ranges : asked) reader_.read(source, ranges, Interest::kAsked, 1);
  settle();
  uint64_t told = 0;
  ASSERT_EQ(answers_.size(), asked.size());
  std::vector<bool> answered(asked.size());
  while (!answers_.empty()) {
    const PayloadRead answer = take();
    told += answer.bytesRead;
    for (size_t i = 0; i < asked.size(); ++i) {
      if (std::ranges::equal(answer.range(), expected(payload, asked[i]))) answered[i] = true;
    }
  }
  EXPECT_EQ(std::ranges::count(answered, true), static_cast<int>(asked.size()));
  EXPECT_EQ(told, diskBytes() - before);
  EXPECT_LT(told, 6 * kReadBlock + 3 * 16384)
      << "six blocks, and a record header for each of 3 reads";
}

TEST_F(PayloadReaderTest, ReadAheadIsJoinedAndServesFromMemory) {
  const Bytes payload = payloadOf(1, 5 * kReadBlock);
  const PayloadSource source = put(1, payload);
  reader_.readAhead(source);
  reader_.readAhead(source);
  const uint64_t before = diskBytes();
  reader_.read(source, {{10, kReadBlock}}, Interest::kAsked, 1);
  settle();
  const PayloadRead joined = take();
  EXPECT_TRUE(std::ranges::equal(joined.range(), ByteSpan(payload).subspan(10, kReadBlock)));
  EXPECT_EQ(joined.tier, codec::Tier::kDisk);
  EXPECT_EQ(joined.bytesRead, 0u);
  EXPECT_LT(diskBytes() - before, 6 * kReadBlock);
  const PayloadRead whole = read(source, {{0, payload.size()}});
  EXPECT_EQ(whole.tier, codec::Tier::kMemory);
  EXPECT_TRUE(std::ranges::equal(whole.range(), payload));
}

TEST_F(PayloadReaderTest, ReadAheadStaysWithinItsShare) {
  std::vector<PayloadSource> sources;
  for (uint64_t i = 0; i < 8; ++i) sources.push_back(put(i, payloadOf(i, 3 * kReadBlock)));
  for (const PayloadSource& source : sources) reader_.readAhead(source);
  settle();
  EXPECT_GT(memory_.figures().aheadBytes, 0u);
  EXPECT_LE(memory_.figures().aheadBytes, memory_.capacity() / 16);
}

TEST_F(PayloadReaderTest, AnotherVersionThanAskedForIsTold) {
  const Bytes old = payloadOf(1, 3 * kReadBlock), fresh = payloadOf(2, 3 * kReadBlock);
  const PayloadSource source = put(1, old);
  const std::vector<PayloadRange> part = {{0, 2 * kReadBlock}}, whole = {{0, 3 * kReadBlock}};
  read(source, part);
  EXPECT_TRUE(read(source, part).status.ok());
  const PayloadSource newer = put(1, fresh);
  ASSERT_NE(newer.version, source.version);
  // Two blocks of the old one are held: they are not mixed with the third.
  EXPECT_TRUE(read(source, whole).replaced);
  const PayloadRead now = read(newer, whole);
  EXPECT_FALSE(now.replaced);
  EXPECT_TRUE(std::ranges::equal(now.range(), fresh));
  store_->submitRemove(keyOf(1), 0, puts_);
  ASSERT_TRUE(puts_.waitPop().status.ok());
  memory_.drop(keyOf(1));
  EXPECT_EQ(read(newer, whole).status.code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace spolia::tiers
