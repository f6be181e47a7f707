// Decoding with a scratch: what the first call took is enough for the next.
#include <gtest/gtest.h>

#include "codec/codec.h"
#include "tests/codec/codec_samples.h"
#include "tests/codec/lossy/fitting_kv.h"
#include "tests/support/allocation_counter.h"

namespace spolia::codec {
namespace {

size_t allocationsOf(const std::function<Status()>& work) {
  const size_t before = spolia::test::allocations();
  const Status status = work();
  const size_t count = spolia::test::allocations() - before;
  EXPECT_TRUE(status.ok()) << status.toString();
  return count;
}

void expectSteady(const std::function<Status()>& work) {
  work().ignore();  // seen below
  EXPECT_EQ(allocationsOf(work), 0u);
}

TEST(DecodeScratch, ScaledChannelsTakeNothingTheSecondTime) {
  SampleKv kv(3, {2, 10}, 90, ElementType::kF16);
  kv.fill(1);
  SampleKv out(3, {2, 10}, 90, ElementType::kF16);
  for (Preset preset : {Preset::kHigh, Preset::kBalanced, Preset::kSmall}) {
    EncodeOptions options;
    options.preset = preset;
    options.tokenGroup = 40;
    const Bytes stream = encodeStream(sampleIdentity(90), kv.layers, kv.view(), options).value();
    const StreamHeader header = parseHeader(stream).value();
    DecodeScratch scratch;
    expectSteady([&] { return decodeStream(stream, header, {}, out.target(), nullptr, &scratch); });
    KvRange part{1, 2, 20, 60, 0};
    expectSteady(
        [&] { return decodeStream(stream, header, part, out.target(), nullptr, &scratch); });
    const FrameEntry& f = header.frames.back();
    const FrameBytes last{static_cast<uint32_t>(header.frames.size() - 1),
                          ByteSpan(stream).subspan(f.offset, f.size)};
    expectSteady([&] { return decodeFrame(header, last, {}, out.target(), nullptr, &scratch); });
  }
}

TEST(DecodeScratch, LearntTransformsTakeNothingTheSecondTime) {
  const LossySample sample(unevenRecipe(BlockCut::kPlane), madeUpIdentity(40), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options(2, 16));
  const StreamHeader header = parseHeader(stream).value();
  GoldenKv out = sample.like(ElementType::kF32);
  DecodeScratch scratch;
  expectSteady([&] {
    return decodeStream(stream, header, {}, out.target(), sample.profile.get(), &scratch);
  });
}

// One scratch for streams of all presets and of other sizes, larger and smaller: the same bytes as
// with one of their own.
TEST(EncodeScratch, LeavesNoTraceInTheBytes) {
  const LossySample learnt(unevenRecipe(BlockCut::kPlane), madeUpIdentity(40), ElementType::kF32);
  EncodeScratch scratch;
  for (uint32_t tokens : {90, 3, 57, 300, 1}) {
    SampleKv kv(3, {2, 10}, tokens, ElementType::kF16);
    kv.fill(tokens);
    for (Preset preset : {Preset::kLossless, Preset::kHigh, Preset::kBalanced, Preset::kSmall}) {
      EncodeOptions options;
      options.preset = preset;
      options.levels = static_cast<uint8_t>(1 + tokens % 3);
      options.tokenGroup = 40;
      const auto identity = sampleIdentity(tokens);
      EXPECT_EQ(encodeStream(identity, kv.layers, kv.view(), options, &scratch).value(),
                encodeStream(identity, kv.layers, kv.view(), options).value());
    }
    const EncodeOptions options = learnt.options(2, 16);
    EXPECT_EQ(encodeStream(learnt.identity, learnt.profile->data().layers, learnt.kv.view(),
                           options, &scratch)
                  .value(),
              learnt.encoded(options));
  }
}

}  // namespace
}  // namespace spolia::codec
