#include "bench/codec/baselines/group_quant.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/codec/baselines/kivi_scheme.h"
#include "bench/codec/baselines/min_max_scheme.h"
#include "tests/bench/codec/baselines/made_up_samples.h"

namespace spolia::bench {
namespace {

TEST(BitPackingTest, BringsBackWhatWasPut) {
  BitWriter writer;
  for (unsigned bits = 1; bits <= 32; ++bits) {
    writer.put(static_cast<uint32_t>((uint64_t{1} << bits) - 1), bits);
    writer.put(0, bits);
  }
  const Bytes bytes = writer.finish();
  EXPECT_EQ(bytes.size(), 2 * 33 * 16 / 8u);
  BitReader reader(bytes);
  for (unsigned bits = 1; bits <= 32; ++bits) {
    EXPECT_EQ(reader.get(bits), (uint64_t{1} << bits) - 1);
    EXPECT_EQ(reader.get(bits), 0u);
  }
  EXPECT_EQ(reader.get(32), 0u) << "past the end";
}

TEST(GroupQuantTest, ErrsByHalfAStep) {
  const std::vector<float> values = {-1, 9, 0.3f, 9, 0.7f, 9, 2, 9};
  const ValueGroup everySecond{0, 4, 2};
  BitWriter writer;
  writeGroup(values.data(), everySecond, 3, writer);
  const Bytes bytes = writer.finish();
  EXPECT_EQ(bytes.size(), 4u + 2);
  std::vector<float> out(8, -5);
  BitReader reader(bytes);
  readGroup(reader, everySecond, 3, out.data());
  for (size_t i = 0; i < 8; i += 2) {
    EXPECT_NEAR(out[i], values[i], 3.0 / 7 / 2 + 0.002);
    EXPECT_EQ(out[i + 1], -5) << "not of the group";
  }
}

TEST(GroupQuantTest, OneValueEverywhere) {
  const std::vector<float> values(5, 0.5f);
  BitWriter writer;
  writeGroup(values.data(), {0, 5, 1}, 2, writer);
  const Bytes bytes = writer.finish();
  std::vector<float> out(5);
  BitReader reader(bytes);
  readGroup(reader, {0, 5, 1}, 2, out.data());
  EXPECT_EQ(out, values);
}

// The sizes are the published layout's: bits, and 4 bytes a group.
TEST(GroupQuantTest, SizesAreThePublishedOnes) {
  const KvShape& shape = kMadeUpShape;
  const std::vector<KvSample> samples = madeUpSamples(1, 64, 1);
  const size_t values = samples[0].values.size(), planes = shape.layers;
  MinMaxScheme int8(8), int4(4);
  ASSERT_TRUE(int8.calibrate({}, shape).ok());
  ASSERT_TRUE(int4.calibrate({}, shape).ok());
  const size_t scales = planes * (shape.channels() + 64) * 4;
  EXPECT_EQ(int8.code(samples[0], 8).bytes, values + scales);
  EXPECT_EQ(int4.code(samples[0], 4).bytes, values / 2 + scales);
  KiviScheme published(KiviScheme::Residual::kAsPublished), kinder(KiviScheme::Residual::kNone);
  ASSERT_TRUE(published.calibrate({}, shape).ok());
  ASSERT_TRUE(kinder.calibrate({}, shape).ok());
  // K: a group for each channel and 32 tokens; V: one for each token, of 16 channels.
  const size_t half = planes * (shape.channels() + 32) * 4 + values / 2 / 4;
  EXPECT_EQ(published.code(samples[0], 2).bytes, half + values / 2 * 2);
  EXPECT_EQ(kinder.code(samples[0], 2).bytes, 2 * half);
}

TEST(GroupQuantTest, KiviKeepsTheNewestTokens) {
  const std::vector<KvSample> samples = madeUpSamples(1, 50, 1);
  KiviScheme scheme(KiviScheme::Residual::kAsPublished);
  ASSERT_TRUE(scheme.calibrate({}, kMadeUpShape).ok());
  const std::vector<float> restored = scheme.code(samples[0], 2).restored;
  const size_t quantised = 18 * kMadeUpShape.columns();
  double error = 0;
  for (size_t i = 0; i < quantised; ++i) error += std::abs(restored[i] - samples[0].values[i]);
  EXPECT_GT(error, 0);
  for (size_t i = quantised; i < restored.size(); ++i) {
    ASSERT_EQ(restored[i], samples[0].values[i]);
  }
}

}  // namespace
}  // namespace spolia::bench
