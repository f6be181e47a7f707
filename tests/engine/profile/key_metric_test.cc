#include "engine/profile/key_metric.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/profile/judge.h"
#include "engine/profile/symmetric_matrix.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

class KeyMetricTest : public testing::Test {
 protected:
  explicit KeyMetricTest(const ModelConfig& config = test::tinyConfig(), uint64_t count = 6)
      : model_(test::makeTinyModel(config, 5)) {
    for (uint64_t seed = 1; seed <= count; ++seed) {
      const auto all = test::randomTokens(model_->config(), 40 + 8, seed);
      passages_.push_back({{all.begin(), all.begin() + 40}, {all.begin() + 40, all.end()}});
    }
  }
  std::vector<Matrix> metrics() {
    return measureKeyMetrics(*model_, transformer_, passages_, pool_).value();
  }

  std::unique_ptr<Model> model_;
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_};
  std::vector<Passage> passages_;
};

// Whatever a family has more than Llama. Over six passages chance decides between directions.
class KeyMetricOfAFamily : public KeyMetricTest, public testing::WithParamInterface<test::Variant> {
 protected:
  KeyMetricOfAFamily() : KeyMetricTest(GetParam().config, 40) {}
};

TEST_F(KeyMetricTest, OneForEachKeyHeadSymmetricWithAMeanOfOne) {
  const ModelConfig& config = model_->config();
  const std::vector<Matrix> all = metrics();
  ASSERT_EQ(all.size(), size_t{config.layers} * config.kvHeads);
  for (const Matrix& metric : all) {
    ASSERT_EQ(metric.rows(), config.headDim);
    float mean = 0;
    for (uint32_t i = 0; i < config.headDim; ++i) {
      mean += metric.at(i, i) / static_cast<float>(config.headDim);
      for (uint32_t j = 0; j < i; ++j) EXPECT_NEAR(metric.at(i, j), metric.at(j, i), 1e-4);
    }
    EXPECT_NEAR(mean, 1, 1e-3);
  }
}

// What the metric is for: errors of one size in the direction that it says matters most move the
// predictions more than in the one that it says matters least.
TEST_P(KeyMetricOfAFamily, TellsWhichErrorsMoveThePredictions) {
  const ModelConfig& config = model_->config();
  const KvShape shape = shapeOf(config);
  const std::vector<Matrix> all = metrics();
  Judge judge(*model_, transformer_, pool_);
  ASSERT_TRUE(judge.setReference(passages_).ok());
  double most = 0;
  double least = 0;
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    for (uint32_t head = 0; head < config.kvHeads; ++head) {
      Matrix vectors = Matrix::copyOf(all[size_t{layer} * config.kvHeads + head].view());
      ASSERT_TRUE(decompose(vectors).ok());
      const auto lost = [&](const float* direction) {
        std::vector<std::vector<float>> restored;
        uint32_t row = 0;
        for (const KvSample& sample : judge.samples()) {
          auto& values = restored.emplace_back(sample.values);
          float* at = values.data() + layer * 2 * shape.channels() + size_t{head} * config.headDim;
          for (size_t t = 0; t < sample.tokens.size(); ++t, ++row, at += shape.columns()) {
            const float sign = row * 2654435761u >> 31 != 0 ? 0.1f : -0.1f;
            for (uint32_t c = 0; c < config.headDim; ++c) at[c] += sign * direction[c];
          }
        }
        return judge.compare(restored).value().kl;
      };
      most += lost(vectors.row(config.headDim - 1));
      least += lost(vectors.row(0));
    }
  }
  EXPECT_GT(most, 1.5 * least);
}

INSTANTIATE_TEST_SUITE_P(Variants, KeyMetricOfAFamily, testing::ValuesIn(test::tinyVariants()),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST_F(KeyMetricTest, RootAndInverseBelongToTheMetric) {
  const std::vector<Matrix> all = metrics();
  const Matrix& metric = all.front();
  const MetricRoot root = rootOf(metric).value();
  for (size_t i = 0; i < metric.rows(); ++i) {
    for (size_t j = 0; j < metric.rows(); ++j) {
      float square = 0;
      float unit = 0;
      for (size_t k = 0; k < metric.rows(); ++k) {
        square += root.root.at(i, k) * root.root.at(k, j);
        unit += root.root.at(i, k) * root.inverse.at(k, j);
      }
      EXPECT_NEAR(square, metric.at(i, j), 1e-3);
      EXPECT_NEAR(unit, i == j ? 1 : 0, 1e-3);
    }
  }
}

TEST_F(KeyMetricTest, WithoutATokenToLookAtAllDirectionsAreAlike) {
  passages_.resize(1);
  passages_[0].cached.resize(4);
  for (const Matrix& metric : metrics()) EXPECT_NEAR(metric.at(0, 0), 1, 1e-6);
}

}  // namespace
}  // namespace spolia::engine
