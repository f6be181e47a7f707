#include "engine/profile/judge.h"

#include <gtest/gtest.h>

#include <cmath>

#include "codec/values/half.h"
#include "tests/support/reference_forward.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using engine::test::Random;

class JudgeTest : public testing::Test {
 protected:
  explicit JudgeTest(const ModelConfig& config = engine::test::tinyConfig())
      : model_(engine::test::makeTinyModel(config, 5)) {}

  std::vector<Passage> passages(uint32_t cached, uint32_t continued) const {
    std::vector<Passage> out;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      const auto all = engine::test::randomTokens(model_->config(), cached + continued, seed);
      out.push_back({{all.begin(), all.begin() + cached}, {all.begin() + cached, all.end()}});
    }
    return out;
  }
  std::vector<std::vector<float>> samplesWithNoise(float magnitude) const {
    Random random(9);
    std::vector<std::vector<float>> out;
    for (const KvSample& sample : judge_.samples()) {
      out.push_back(sample.values);
      for (float& value : out.back()) value += random.uniform(-magnitude, magnitude);
    }
    return out;
  }

  // Log probabilities of the continued rows, of the textbook's pass over BOS, the first `seen` of
  // the cached tokens and the continued ones, each at its position.
  std::vector<std::vector<double>> predictionsOf(const Passage& passage, uint32_t seen) const {
    std::vector<codec::TokenId> rows = {model_->config().bosToken};
    rows.insert(rows.end(), passage.cached.begin(), passage.cached.begin() + seen);
    rows.insert(rows.end(), passage.continued.begin(), passage.continued.end());
    std::vector<uint32_t> positions = engine::test::positionsFrom(0, rows.size());
    const auto left = static_cast<uint32_t>(passage.cached.size() - seen);
    for (size_t r = 1 + seen; r < rows.size(); ++r) positions[r] += left;
    const auto result =
        engine::test::referenceForward(*model_, rows, codec::ElementType::kF32, positions);
    std::vector<std::vector<double>> out;
    for (size_t r = 1 + seen; r < rows.size(); ++r) {
      const float* logits = result.logits.row(r);
      auto& row = out.emplace_back(logits, logits + result.logits.columns());
      double total = 0;
      for (const double logit : row) total += std::exp(logit);
      for (double& logit : row) logit -= std::log(total);
    }
    return out;
  }

  std::unique_ptr<engine::Model> model_;
  engine::ThreadPool pool_{2};
  engine::Transformer transformer_{*model_, pool_};
  Judge judge_{*model_, transformer_, pool_};
};

// Whatever a family has more than Llama.
class JudgeOfAFamily : public JudgeTest, public testing::WithParamInterface<engine::test::Variant> {
 protected:
  JudgeOfAFamily() : JudgeTest(GetParam().config) {}
};

TEST_F(JudgeTest, SamplesAreTheCacheInHalves) {
  ASSERT_TRUE(judge_.setReference(passages(20, 6)).ok());
  const KvShape shape = shapeOf(model_->config());
  ASSERT_EQ(judge_.samples().size(), 3u);
  for (const KvSample& sample : judge_.samples()) {
    EXPECT_EQ(sample.tokens.size(), 20u);
    ASSERT_EQ(sample.values.size(), 20 * shape.columns());
    for (const float value : sample.values) {
      ASSERT_EQ(codec::f32FromF16(codec::f16FromF32(value)), value);
    }
  }
  // Before RoPE, K of the first layer is a function of the token alone; wherever it stands.
  const auto repeated = std::vector<Passage>{{{7, 3, 7}, {}}};
  const KvSample sample = judge_.sample(repeated).value()[0];
  for (size_t c = 0; c < 2 * shape.channels(); ++c) {
    EXPECT_NEAR(sample.values[c], sample.values[2 * shape.columns() + c],
                1e-3f * (1 + std::abs(sample.values[c])));
  }
}

TEST_F(JudgeTest, TheCacheItselfIsFaultless) {
  ASSERT_TRUE(judge_.setReference(passages(20, 6)).ok());
  const Agreement same = judge_.compare(samplesWithNoise(0)).value();
  EXPECT_NEAR(same.kl, 0, 1e-9);
  EXPECT_EQ(same.top1, 1);
}

TEST_F(JudgeTest, MoreNoiseIsMoreDamage) {
  ASSERT_TRUE(judge_.setReference(passages(20, 6)).ok());
  double last = 1e-9;
  for (const float magnitude : {0.01f, 0.05f, 0.2f, 1.0f}) {
    const double kl = judge_.compare(samplesWithNoise(magnitude)).value().kl;
    EXPECT_GT(kl, 2 * last) << magnitude;
    last = kl;
  }
}

// The textbook's pass over all tokens predicts what the judge predicts over the cache, but for the
// fp16 of the latter.
TEST_P(JudgeOfAFamily, CrossEntropyIsTheTextbooks) {
  const std::vector<Passage> all = passages(20, 6);
  ASSERT_TRUE(judge_.setReference(all).ok());
  double sum = 0;
  for (const Passage& passage : all) {
    const auto logProbabilities = predictionsOf(passage, 20);
    for (size_t r = 0; r < 5; ++r) sum -= logProbabilities[r][passage.continued[r + 1]];
  }
  EXPECT_NEAR(judge_.crossEntropy(), sum / 15, 2e-3);
}

// What is removed are the cached rows, and those behind them do not move: the textbook's pass over
// BOS and the continued tokens, these at their old positions, predicts the same.
TEST_P(JudgeOfAFamily, RemovedRowsLeaveAGap) {
  const std::vector<Passage> all = passages(20, 6);
  ASSERT_TRUE(judge_.setReference(all).ok());
  double sum = 0;
  for (const Passage& passage : all) {
    const auto with = predictionsOf(passage, 20), without = predictionsOf(passage, 0);
    for (size_t r = 0; r < 6; ++r) {
      for (size_t i = 0; i < with[r].size(); ++i) {
        sum += std::exp(with[r][i]) * (with[r][i] - without[r][i]);
      }
    }
  }
  const double kl = judge_.compareRemoved().value().kl;
  EXPECT_GT(kl, 0.001);
  EXPECT_NEAR(kl, sum / 18, 0.01 * kl);
}

INSTANTIATE_TEST_SUITE_P(Variants, JudgeOfAFamily, testing::ValuesIn(engine::test::tinyVariants()),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST_F(JudgeTest, RemovingNothingChangesNothing) {
  ASSERT_TRUE(judge_.setReference(passages(0, 6)).ok());
  EXPECT_NEAR(judge_.compareRemoved().value().kl, 0, 1e-9);
}

TEST_F(JudgeTest, PassagesOfDifferentLengthAreRefused) {
  std::vector<Passage> uneven = passages(20, 6);
  uneven.push_back(passages(19, 6)[0]);
  EXPECT_EQ(judge_.setReference(uneven).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(judge_.setReference({}).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(judge_.setReference(passages(20, 0)).code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::engine
