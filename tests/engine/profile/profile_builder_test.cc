#include "engine/profile/profile_builder.h"

#include <gtest/gtest.h>

#include "codec/codec.h"
#include "engine/profile/sensitivity.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

class ProfileBuilderTest : public ::testing::Test {
 protected:
  ProfileBuilderTest() {
    for (uint64_t seed = 1; seed <= 24; ++seed) {
      const auto all = test::randomTokens(model_->config(), 48 + 8, seed);
      passages_.push_back({{all.begin(), all.begin() + 48}, {all.begin() + 48, all.end()}});
    }
  }
  Result<codec::ProfileData> build(const ProfileOptions& options) {
    return buildProfile(*model_, transformer_, pool_, passages_, options,
                        [](const std::string&) {});
  }
  // What a preset at its own step does to the first passages' predictions, and its bytes.
  Agreement damage(const codec::Profile& profile, codec::Preset preset, uint64_t& bytes) {
    Judge judge(*model_, transformer_, pool_);
    EXPECT_TRUE(judge.setReference({passages_.begin(), passages_.begin() + 8}).ok());
    std::vector<std::vector<float>> restored;
    codec::EncodeOptions options;
    options.preset = preset;
    options.profile = &profile;
    const KvShape shape = shapeOf(model_->config());
    for (const KvSample& sample : judge.samples()) {
      codec::ChunkIdentity identity;
      identity.fingerprint = model_->fingerprint();
      identity.tokens = sample.tokens;
      const auto* from = reinterpret_cast<const std::byte*>(sample.values.data());
      const Bytes stream =
          codec::encodeStream(identity, profile.data().layers,
                              sampleMemory(from, codec::ElementType::kF32, shape), options)
              .value();
      bytes += stream.size();
      auto& out = restored.emplace_back(sample.values);
      const size_t derived =
          profile.transform(static_cast<uint8_t>(preset))->data->blocks.front().begin;
      EXPECT_EQ(derived, 2 * shape.channels()) << "the first layer is the reader's";
      for (size_t i = 0; i < out.size(); ++i) {
        if (i % shape.columns() >= derived) out[i] = 0;
      }
      auto* to = reinterpret_cast<std::byte*>(out.data());
      EXPECT_TRUE(codec::decodeStream(stream, codec::parseHeader(stream).value(), {},
                                      sampleMemory(to, codec::ElementType::kF32, shape), &profile)
                      .ok());
    }
    return judge.compare(restored).value();
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 5);
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_};
  std::vector<Passage> passages_;
};

TEST_F(ProfileBuilderTest, KeepsWithinTheBudgetAndMakesChunksSmaller) {
  for (const codec::Preset preset : {codec::Preset::kBalanced, codec::Preset::kSmall}) {
    ProfileOptions options;
    options.preset = preset;
    options.mostCodes = 16;
    options.judged = 8;
    options.mostKl = 0.01;
    options.leastTop1 = 0.9;
    const codec::ProfileData data = build(options).value();
    EXPECT_EQ(data.fingerprint, model_->fingerprint());
    EXPECT_EQ(data.layers, model_->kvShape());
    const auto profile = codec::Profile::parse(codec::writeProfile(data)).value();
    uint64_t bytes = 0;
    const Agreement lost = damage(*profile, preset, bytes);
    // The tables and the last bases were made after the step was judged.
    EXPECT_LE(lost.kl, 0.015);
    const uint64_t fp16 = 8 * 48 * shapeOf(model_->config()).columns() * 2;
    EXPECT_LT(bytes * 3, fp16);
  }
}

TEST_F(ProfileBuilderTest, KeepsWithinTheBytesItMayHave) {
  for (const codec::Preset preset : {codec::Preset::kBalanced, codec::Preset::kSmall}) {
    ProfileOptions options;
    options.preset = preset;
    options.judged = 8;
    options.mostBytes = 40000;
    const Bytes bytes = codec::writeProfile(build(options).value());
    EXPECT_LE(bytes.size(), options.mostBytes);
    EXPECT_TRUE(codec::Profile::parse(bytes).ok());
  }
}

TEST_F(ProfileBuilderTest, RefusesTooLittleTextAndOtherPresets) {
  ProfileOptions options;
  options.preset = codec::Preset::kHigh;
  EXPECT_EQ(build(options).status().code(), ErrorCode::kInvalidArgument);
  passages_.resize(7);
  options.preset = codec::Preset::kBalanced;
  EXPECT_EQ(build(options).status().code(), ErrorCode::kInvalidArgument);
}

TEST_F(ProfileBuilderTest, SensitivityIsByHeadAndNowhereZero) {
  Judge judge(*model_, transformer_, pool_);
  ASSERT_TRUE(judge.setReference({passages_.begin(), passages_.begin() + 8}).ok());
  const KvShape shape = shapeOf(model_->config());
  const std::vector<float> weights =
      measureSensitivity(judge, shape, std::vector<float>(shape.columns(), 0.5f), 1).value();
  ASSERT_EQ(weights.size(), shape.columns());
  for (size_t c = 0; c < weights.size(); ++c) {
    EXPECT_GT(weights[c], 0);
    EXPECT_EQ(weights[c], weights[c / shape.headDim * shape.headDim]);
  }
}

}  // namespace
}  // namespace spolia::engine
