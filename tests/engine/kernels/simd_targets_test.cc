// Every instruction set the build has code for and this machine can run gives the same model: the
// forward pass and the page types with each target forced in turn.
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>

#include "engine/kernels/element_convert.h"
#include "engine/kernels/quant_blocks.h"
#include "engine/kernels/reference.h"
#include "engine/products/products.h"
#include "engine/transformer/forward.h"
#include "tests/support/compare.h"
#include "tests/support/packed_weights.h"
#include "tests/support/reference_forward.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

void force(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

class SimdTargets : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { force(GetParam()); }
  void TearDown() override { force(0); }
};

void expectReferencePass(const ModelConfig& config) {
  const auto model = test::makeTinyModel(config, 21);
  ThreadPool pool(2);
  const Transformer transformer(*model, pool);
  const uint32_t n = 90;
  const auto tokens = test::randomTokens(config, n, 22);
  const auto expected = test::referenceForward(*model, tokens, codec::ElementType::kF32);
  KvPages pages(config, codec::ElementType::kF32, n);
  auto pass = transformer.begin(tokens, test::positionsFrom(0, n));
  ASSERT_TRUE(pass.ok());
  transformer.run(*pass, pages);
  // As in the test of the forward pass: longest sums times layers, of values up to 4; of larger
  // ones where there are biases.
  double largest = 4;
  for (size_t i = 0; i < n * size_t{config.hiddenSize}; ++i) {
    largest = std::max(largest, std::fabs(double{expected.hidden.data()[i]}));
  }
  const double tolerance =
      largest * test::sumError(config.ffnSize + 2 * config.hiddenSize + n) * config.layers;
  EXPECT_TRUE(test::closeTo(pass->hidden.view(), expected.hidden.view(), tolerance));
}

TEST_P(SimdTargets, ForwardPass) {
  expectReferencePass(test::tinyConfig());
}

TEST_P(SimdTargets, ForwardPassWithEveryPart) {
  expectReferencePass(test::tinyVariants().back().config);
}

TEST_P(SimdTargets, PageTypes) {
  test::Random random(23);
  std::vector<float> in(1003);
  for (float& value : in)
    value = random.uniform(-1, 1) * std::ldexp(1.0f, 16 - int(random.below(40)));
  in[5] = INFINITY, in[6] = -0.0f, in[7] = 0x1p-24f;
  std::vector<uint16_t> f16(in.size()), bf16(in.size());
  std::vector<float> back(in.size());
  narrowF16(in.data(), in.size(), reinterpret_cast<std::byte*>(f16.data()));
  narrowBf16(in.data(), in.size(), reinterpret_cast<std::byte*>(bf16.data()));
  widenF16(reinterpret_cast<const std::byte*>(f16.data()), in.size(), back.data());
  for (size_t i = 0; i < in.size(); ++i) {
    ASSERT_EQ(f16[i], reference::narrowF16(in[i])) << in[i];
    ASSERT_EQ(bf16[i], reference::narrowBf16(in[i])) << in[i];
    ASSERT_EQ(back[i], reference::widenF16(f16[i])) << in[i];
  }
}

// A panel of rows of any bits widened as the reference widens them.
void expectWidened(WeightType type, const std::vector<std::byte>& rows, size_t inputs) {
  const size_t rowBytes = storedBytes(type, inputs);
  const WeightMatrix weight(type, rows.data(), rows.size() / rowBytes, inputs);
  std::vector<float> panel(inputs * 64), expected(inputs);
  for (size_t output = 0; output < weight.outputs(); ++output) {
    const float* values = panel.data();
    if (output % 64 == 0) values = weight.panel(output / 64, panel.data());
    reference::dequantize(type, rows.data() + output * rowBytes, inputs, expected.data());
    for (size_t i = 0; i < inputs; ++i) {
      const float value = values[i * 64 + output % 64];
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(value)) << test::nameOf(type) << " " << output << " " << i;
      } else {
        ASSERT_EQ(value, expected[i]) << test::nameOf(type) << " " << output << " " << i;
      }
    }
  }
}

TEST_P(SimdTargets, PanelsOfBlocks) {
  test::Random random(24);
  for (const WeightType type : test::kBlockTypes) {
    std::vector<std::byte> rows(64 * storedBytes(type, 1024));
    for (std::byte& byte : rows) byte = std::byte(random.below(256));
    expectWidened(type, rows, 1024);
  }
}

TEST_P(SimdTargets, EveryScaleOfABlock) {
  const size_t size = blockBytes(WeightType::kQ8_0);
  std::vector<std::byte> rows(65536 * size, std::byte{1});
  for (size_t bits = 0; bits < 65536; ++bits) {
    rows[bits * size] = std::byte(bits & 255), rows[bits * size + 1] = std::byte(bits >> 8);
  }
  expectWidened(WeightType::kQ8_0, rows, 32);
}

// Products of weights of every type with few rows and many, and in 8 bits.
TEST_P(SimdTargets, Products) {
  test::Random random(24);
  const size_t n = 70, k = 512;
  ThreadPool pool(2);
  for (const WeightType type : test::kWeightTypes) {
    const WeightMatrix weight = test::packedWeights(type, n, k, random);
    const Matrix rows = weight.unpacked();
    for (const size_t m : {1, 3, 8, 20}) {
      const Matrix in = random.matrix(m, k, 1);
      Matrix out(m, n);
      multiply(in.view(), weight, out.mutableView(), Accumulate::kReplace, pool);
      const Matrix expected = reference::multiply(in.view(), rows.view());
      EXPECT_TRUE(test::closeTo(out.view(), expected.view(), 2 * k * test::sumError(k)))
          << test::nameOf(type) << " " << m;
    }
  }
}

TEST_P(SimdTargets, InputsInEightBits) {
  test::Random random(25);
  const Matrix in = random.matrix(1, 77, 3);
  std::vector<uint8_t> values(128);
  const float scale = quantizeInputs(in.data(), 77, values.data(), values.size());
  for (size_t i = 0; i < 77; ++i) {
    ASSERT_EQ(values[i], 128 + std::nearbyint(in.data()[i] * (1 / scale))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdTargets,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

}  // namespace
}  // namespace spolia::engine
