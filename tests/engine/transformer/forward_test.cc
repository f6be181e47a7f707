#include "engine/transformer/forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "tests/support/compare.h"
#include "tests/support/reference_forward.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using codec::ElementType;
using test::closeTo;
using Tokens = std::vector<codec::TokenId>;

// Dense memory of the KV of some rows of one layer, as chunks come in.
struct DenseKv {
  DenseKv(const ModelConfig& config, uint32_t tokens, ElementType elementType)
      : type(elementType),
        tokenStride(static_cast<ptrdiff_t>(config.kvChannels() * elementSize(elementType))),
        headStride(static_cast<ptrdiff_t>(config.headDim * elementSize(elementType))),
        bytes(2 * tokens * static_cast<size_t>(tokenStride)) {}
  codec::KvTarget target() {
    return {bytes.data(), 0,           static_cast<ptrdiff_t>(bytes.size() / 2),
            headStride,   tokenStride, type};
  }
  codec::KvView view() const {
    return {bytes.data(), 0,           static_cast<ptrdiff_t>(bytes.size() / 2),
            headStride,   tokenStride, type};
  }

  ElementType type;
  ptrdiff_t tokenStride, headStride;
  std::vector<std::byte> bytes;
};

// How far two f32 evaluations of the same model may be apart, relative to the largest value of a
// row: the longest sum of each layer (ffn, hidden, keys) with every rounding at its worst, times
// the layers. Real errors are a tenth of that; a wrong mask, position or head is 1e3 times larger.
double relativeTolerance(const ModelConfig& config, size_t keys) {
  return test::sumError(config.ffnSize + 2 * config.hiddenSize + keys) * config.layers;
}

testing::AssertionResult rowsClose(const MatrixView& actual, const MatrixView& expected,
                                   double relative) {
  std::vector<double> magnitude(expected.rows(), 0);
  for (size_t r = 0; r < expected.rows(); ++r) {
    for (size_t c = 0; c < expected.columns(); ++c) {
      magnitude[r] = std::max(magnitude[r], std::fabs(double{expected.at(r, c)}));
    }
  }
  return closeTo(actual, expected, [&](size_t r, size_t) { return relative * magnitude[r]; });
}

Matrix takeRows(const MatrixView& from, std::span<const uint32_t> rows) {
  Matrix out(rows.size(), from.columns());
  for (size_t r = 0; r < rows.size(); ++r) {
    std::copy_n(from.row(rows[r]), from.columns(), out.row(r));
  }
  return out;
}

class ForwardShapes : public testing::TestWithParam<test::Variant> {
 protected:
  ForwardShapes() : config_(GetParam().config), pool_(2) {
    model_ = test::makeTinyModel(config_, 7);
    transformer_ = std::make_unique<Transformer>(*model_, pool_);
  }
  // Runs the tokens at `positions` through all layers.
  Pass run(std::span<const codec::TokenId> prompt, std::span<const uint32_t> positions,
           KvPages& pages) {
    std::vector<codec::TokenId> tokens;
    for (uint32_t position : positions) tokens.push_back(prompt[position]);
    auto pass = transformer_->begin(tokens, positions);
    SPOLIA_CHECK(pass.ok());
    transformer_->run(*pass, pages);
    return std::move(*pass);
  }

  ModelConfig config_;
  ThreadPool pool_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Transformer> transformer_;
};

TEST_P(ForwardShapes, EqualsReference) {
  const uint32_t n = 150;
  const auto tokens = test::randomTokens(config_, n, 1);
  const auto expected = test::referenceForward(*model_, tokens, ElementType::kF32);
  KvPages pages(config_, ElementType::kF32, n);
  const Pass pass = run(tokens, test::positionsFrom(0, n), pages);
  const double tolerance = relativeTolerance(config_, n);
  EXPECT_TRUE(rowsClose(pass.hidden.view(), expected.hidden.view(), tolerance));
  for (size_t row : {size_t{0}, size_t{63}, size_t{64}, size_t{n - 1}}) {
    EXPECT_TRUE(rowsClose(test::asRow(transformer_->logits(pass, row)),
                          expected.logits.view().rowRange(row, 1), tolerance));
  }
  for (uint32_t layer = 0; layer < config_.layers; ++layer) {
    DenseKv kv(config_, n, ElementType::kF32);
    pages.exportRows(layer, 0, n, kv.target());
    const auto* k = reinterpret_cast<const float*>(kv.bytes.data());
    const MatrixView keys(k, n, config_.kvChannels());
    const MatrixView values(k + size_t{n} * config_.kvChannels(), n, config_.kvChannels());
    EXPECT_TRUE(rowsClose(keys, expected.k[layer].view(), tolerance)) << "layer " << layer;
    EXPECT_TRUE(rowsClose(values, expected.v[layer].view(), tolerance)) << "layer " << layer;
  }
}

TEST_P(ForwardShapes, RowsMayComeInAnySplit) {
  const uint32_t n = 200;
  const auto tokens = test::randomTokens(config_, n, 2);
  KvPages whole(config_, ElementType::kF32, n);
  const Pass all = run(tokens, test::positionsFrom(0, n), whole);
  for (uint32_t cut : {1u, 63u, 64u, 65u, 131u, n - 1}) {
    KvPages pages(config_, ElementType::kF32, n);
    const Pass front = run(tokens, test::positionsFrom(0, cut), pages);
    const Pass back = run(tokens, test::positionsFrom(cut, n - cut), pages);
    const double tolerance = relativeTolerance(config_, n);
    EXPECT_TRUE(rowsClose(front.hidden.view(), all.hidden.view().rowRange(0, cut), tolerance))
        << "cut " << cut;
    EXPECT_TRUE(rowsClose(back.hidden.view(), all.hidden.view().rowRange(cut, n - cut), tolerance))
        << "cut " << cut;
  }
}

TEST_P(ForwardShapes, SingleRowsOneAfterTheOther) {
  const uint32_t n = 70;
  const auto tokens = test::randomTokens(config_, n, 3);
  KvPages whole(config_, ElementType::kF32, n);
  const Pass all = run(tokens, test::positionsFrom(0, n), whole);
  KvPages pages(config_, ElementType::kF32, n);
  for (uint32_t position = 0; position < n; ++position) {
    const Pass step = run(tokens, test::positionsFrom(position, 1), pages);
    ASSERT_TRUE(rowsClose(step.hidden.view(), all.hidden.view().rowRange(position, 1),
                          relativeTolerance(config_, n)))
        << "position " << position;
  }
}

// What linking does: the KV of most rows comes from elsewhere, some rows with gaps between them are
// computed among them.
TEST_P(ForwardShapes, RowsWithGapsAmongImportedRows) {
  const uint32_t n = 300;
  const auto tokens = test::randomTokens(config_, n, 4);
  KvPages whole(config_, ElementType::kF32, n);
  const Pass all = run(tokens, test::positionsFrom(0, n), whole);
  const std::vector<uint32_t> rows = {0, 1, 2, 17, 64, 65, 127, 128, 190, 257, 298, 299};

  std::vector<codec::TokenId> rowTokens;
  for (uint32_t row : rows) rowTokens.push_back(tokens[row]);
  KvPages pages(config_, ElementType::kF32, n);
  auto pass = transformer_->begin(rowTokens, rows);
  ASSERT_TRUE(pass.ok());
  for (uint32_t layer = 0; layer < config_.layers; ++layer) {
    // In two pieces that share a page.
    for (auto [first, count] : {std::pair{0u, 100u}, std::pair{100u, n - 100}}) {
      DenseKv kv(config_, count, ElementType::kF32);
      whole.exportRows(layer, first, count, kv.target());
      pages.importRows(layer, first, count, kv.view());
    }
    transformer_->runLayer(*pass, layer, pages);
  }
  EXPECT_TRUE(rowsClose(pass->hidden.view(), takeRows(all.hidden.view(), rows).view(),
                        relativeTolerance(config_, n)));
}

// Of one layer, [row][channel] of K or V.
Matrix exportedPlane(const KvPages& pages, const ModelConfig& config, uint32_t layer,
                     codec::Plane plane, uint32_t first, uint32_t count) {
  DenseKv kv(config, count, ElementType::kF32);
  pages.exportRows(layer, first, count, kv.target());
  Matrix out(count, config.kvChannels());
  const size_t half = kv.bytes.size() / 2;
  std::memcpy(out.data(), kv.bytes.data() + (plane == codec::Plane::kV ? half : 0), half);
  return out;
}

// Repeated tokens, more than are computed at a time, in any order.
TEST_P(ForwardShapes, TheFirstLayerFollowsFromTheTokens) {
  const uint32_t n = 300;
  auto tokens = test::randomTokens(config_, n, 14);
  KvPages pages(config_, ElementType::kF32, n), derived(config_, ElementType::kF32, n);
  run(tokens, test::positionsFrom(0, n), pages);
  auto positions = test::positionsFrom(0, n);
  std::ranges::reverse(tokens);
  std::ranges::reverse(positions);
  const auto begin = std::span(tokens).first(n - 3);
  ASSERT_TRUE(
      transformer_->writeFirstLayer(begin, std::span(positions).first(n - 3), derived).ok());
  for (const auto plane : {codec::Plane::kK, codec::Plane::kV}) {
    EXPECT_TRUE(rowsClose(exportedPlane(derived, config_, 0, plane, 3, n - 3).view(),
                          exportedPlane(pages, config_, 0, plane, 3, n - 3).view(),
                          relativeTolerance(config_, 1)));
    EXPECT_EQ(exportedPlane(derived, config_, 0, plane, 2, 1).at(0, 0), 0) << "was not asked for";
  }
}

TEST_P(ForwardShapes, RowsAloneSeePositionZeroAndThemselves) {
  const auto tokens = test::randomTokens(config_, 40, 15);
  KvPages together(config_, ElementType::kF32, 40);
  run(std::span(tokens).first(1), test::positionsFrom(0, 1), together);
  auto pass = transformer_->begin(std::span(tokens).subspan(1), test::positionsFrom(1, 39));
  ASSERT_TRUE(pass.ok());
  pass->context = RowContext::kAlone;
  transformer_->run(*pass, together);
  for (uint32_t row : {1u, 2u, 39u}) {
    KvPages pair(config_, ElementType::kF32, 2);
    const std::vector<codec::TokenId> two{tokens[0], tokens[row]};
    const Pass own = run(two, test::positionsFrom(0, 2), pair);
    EXPECT_TRUE(rowsClose(pass->hidden.view().rowRange(row - 1, 1),
                          own.hidden.view().rowRange(1, 1), relativeTolerance(config_, 2)));
    const uint32_t last = config_.layers - 1;
    EXPECT_TRUE(rowsClose(exportedPlane(together, config_, last, codec::Plane::kK, row, 1).view(),
                          exportedPlane(pair, config_, last, codec::Plane::kK, 1, 1).view(),
                          relativeTolerance(config_, 2)));
  }
}

// Heads, kv heads and channels of one.
test::Variant shape(const char* name, uint32_t heads, uint32_t kvHeads, uint32_t headDim) {
  test::Variant out{name, test::tinyConfig()};
  out.config.heads = heads;
  out.config.kvHeads = kvHeads;
  out.config.headDim = headDim;
  return out;
}

const auto nameOf = [](const auto& variant) { return std::string(variant.param.name); };
INSTANTIATE_TEST_SUITE_P(Shapes, ForwardShapes,
                         testing::Values(shape("4x4x32", 4, 4, 32), shape("6x2x64", 6, 2, 64),
                                         shape("8x1x32", 8, 1, 32), shape("3x1x80", 3, 1, 80),
                                         shape("2x2x128", 2, 2, 128), shape("4x2x20", 4, 2, 20),
                                         shape("5x1x6", 5, 1, 6)),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Parts, ForwardShapes, testing::ValuesIn(test::tinyVariants()), nameOf);

class ForwardPageTypes : public testing::TestWithParam<ElementType> {};

// K is rounded before it is rotated, and V, by the row's own pass already: the reference does so in
// double. A value on the edge may round the other way, which costs one place of the page type.
TEST_P(ForwardPageTypes, RoundsBeforeRotating) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 11);
  ThreadPool pool(2);
  const Transformer transformer(*model, pool);
  const uint32_t n = 100;
  const auto tokens = test::randomTokens(config, n, 5);
  const auto expected = test::referenceForward(*model, tokens, GetParam());
  KvPages pages(config, GetParam(), n);
  auto pass = transformer.begin(tokens, test::positionsFrom(0, n));
  ASSERT_TRUE(pass.ok());
  transformer.run(*pass, pages);
  const double place = GetParam() == ElementType::kF16 ? 0x1p-10 : 0x1p-7;
  // The exact rows of layer 0, bit for bit but for those edges.
  DenseKv kv(config, n, ElementType::kF32);
  pages.exportRows(0, 0, n, kv.target());
  const MatrixView keys(reinterpret_cast<const float*>(kv.bytes.data()), n, config.kvChannels());
  size_t different = 0;
  for (size_t r = 0; r < n; ++r) {
    for (size_t c = 0; c < keys.columns(); ++c) {
      const float want = expected.k[0].at(r, c);
      different += keys.at(r, c) != want;
      ASSERT_NEAR(keys.at(r, c), want, std::fabs(want) * place);
    }
  }
  EXPECT_LT(different, n * keys.columns() / 100);
  // Each such edge moves one of many keys or values by one place: less than a place of the result.
  EXPECT_TRUE(rowsClose(pass->hidden.view(), expected.hidden.view(), place));
}

TEST_P(ForwardPageTypes, ExportedRowsImportBitForBit) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 12);
  ThreadPool pool(2);
  const Transformer transformer(*model, pool);
  const uint32_t n = 90;
  const auto tokens = test::randomTokens(config, n, 6);
  KvPages pages(config, GetParam(), n);
  auto pass = transformer.begin(tokens, test::positionsFrom(0, n));
  ASSERT_TRUE(pass.ok());
  transformer.run(*pass, pages);
  DenseKv first(config, n, GetParam()), second(config, n, GetParam());
  pages.exportRows(1, 0, n, first.target());
  KvPages other(config, GetParam(), n + 50);
  other.importRows(2, 37, n, first.view());  // moved: pages hold K before RoPE
  other.exportRows(2, 37, n, second.target());
  EXPECT_EQ(first.bytes, second.bytes);
}

INSTANTIATE_TEST_SUITE_P(Types, ForwardPageTypes,
                         testing::Values(ElementType::kF16, ElementType::kBf16));

TEST(Forward, OnlyTheLastRowWanted) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 13);
  ThreadPool pool(3);
  const Transformer transformer(*model, pool);
  const uint32_t n = 77;
  const auto tokens = test::randomTokens(config, n, 7);
  const auto positions = test::positionsFrom(0, n);
  KvPages pages(config, ElementType::kF32, n), prunedPages(config, ElementType::kF32, n);
  auto all = transformer.begin(tokens, positions);
  auto pruned = transformer.begin(tokens, positions, OutputRows::kLast);
  ASSERT_TRUE(all.ok() && pruned.ok());
  transformer.run(*all, pages);
  transformer.run(*pruned, prunedPages);
  EXPECT_TRUE(rowsClose(test::asRow(transformer.logits(*pruned, n - 1)),
                        test::asRow(transformer.logits(*all, n - 1)),
                        relativeTolerance(config, n)));
  DenseKv kept(config, n, ElementType::kF32), wanted(config, n, ElementType::kF32);
  pages.exportRows(config.layers - 1, 0, n, wanted.target());
  prunedPages.exportRows(config.layers - 1, 0, n, kept.target());
  EXPECT_EQ(kept.bytes, wanted.bytes);
}

class ForwardInvariant : public testing::TestWithParam<ElementType> {};

// Bit for bit: one pass, passes cut anywhere, row by row, on one thread and on three.
TEST_P(ForwardInvariant, LogitsDependOnTheRowAlone) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 16);
  const uint32_t n = 150;
  const auto tokens = test::randomTokens(config, n, 9);
  const auto logitsOf = [&](unsigned threads, const std::vector<uint32_t>& ends) {
    ThreadPool pool(threads);
    const Transformer transformer(*model, pool, Rounding::kInvariant);
    KvPages pages(config, GetParam(), n);
    std::vector<std::vector<float>> out;
    uint32_t begin = 0;
    for (const uint32_t end : ends) {
      auto pass = transformer.begin(std::span(tokens).subspan(begin, end - begin),
                                    test::positionsFrom(begin, end - begin));
      SPOLIA_CHECK(pass.ok());
      transformer.run(*pass, pages);
      for (size_t r = 0; r < pass->rows(); ++r) out.push_back(transformer.logits(*pass, r));
      begin = end;
    }
    return out;
  };
  std::vector<uint32_t> rowByRow;
  for (uint32_t end = 1; end <= n; ++end) rowByRow.push_back(end);
  const auto whole = logitsOf(1, {n});
  EXPECT_EQ(logitsOf(3, {n}), whole);
  EXPECT_EQ(logitsOf(2, rowByRow), whole);
  EXPECT_EQ(logitsOf(3, {1, 2, 35, 64, 97, 128, 149, n}), whole);
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    test::Random random(seed);
    std::vector<uint32_t> ends;
    for (uint32_t end = 1 + random.below(60); end < n; end += 1 + random.below(60)) {
      ends.push_back(end);
    }
    ends.push_back(n);
    EXPECT_EQ(logitsOf(1 + static_cast<unsigned>(seed % 3), ends), whole);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ForwardInvariant,
                         testing::Values(ElementType::kF32, ElementType::kF16, ElementType::kBf16));

TEST(Forward, RowsReplacedAfterTheyWereRead) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 14);
  ThreadPool pool(2);
  const Transformer transformer(*model, pool);
  const uint32_t n = 130;
  const auto tokens = test::randomTokens(config, n, 8);
  auto other = tokens;
  other[70] = (other[70] + 1) % config.vocabSize;
  const auto positions = test::positionsFrom(0, n);
  KvPages pages(config, ElementType::kF32, n), fresh(config, ElementType::kF32, n);
  auto first = transformer.begin(other, positions);
  auto second = transformer.begin(tokens, positions);
  auto third = transformer.begin(tokens, positions);
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  transformer.run(*first, pages);
  transformer.run(*second, pages);
  transformer.run(*third, fresh);
  EXPECT_TRUE(closeTo(second->hidden.view(), third->hidden.view(), 1e-30));
}

TEST(Forward, RefusesRowsThatMakeNoSense) {
  const ModelConfig config = test::tinyConfig();
  const auto model = test::makeTinyModel(config, 15);
  ThreadPool pool(1);
  const Transformer transformer(*model, pool);
  using Positions = std::vector<uint32_t>;
  const auto message = [&](const Tokens& tokens, const Positions& positions) {
    const auto pass = transformer.begin(tokens, positions);
    EXPECT_EQ(pass.status().code(), ErrorCode::kInvalidArgument);
    return pass.status().message();
  };
  EXPECT_NE(message({}, {}).find("without rows"), std::string::npos);
  EXPECT_NE(message({1, 2}, {0}).find("2 tokens for 1 positions"), std::string::npos);
  EXPECT_NE(message({1, 256}, {0, 1}).find("row 1: token 256"), std::string::npos);
  EXPECT_NE(message({1, 2}, {3, 3}).find("row 1: position 3 after 3"), std::string::npos);
  EXPECT_NE(message({1}, {1024}).find("position 1024, the model has 1024"), std::string::npos);
  KvPages pages(config, ElementType::kF32, 2);
  const std::vector<codec::TokenId> tokens{1, 256};
  const Status derived = transformer.writeFirstLayer(tokens, test::positionsFrom(0, 2), pages);
  EXPECT_NE(derived.message().find("row 1: token 256"), std::string::npos);
}

// int8 is a coarser model, not another one, and known as such.
TEST(Forward, Int8IsCloseAndHasAFingerprintOfItsOwn) {
  const ModelConfig config = test::tinyConfig();
  const auto exact = test::makeTinyModel(config, 31);
  const auto int8 = test::makeTinyModel(config, 31, std::nullopt, WeightNumerics::kInt8);
  EXPECT_EQ(exact->descriptor().weights, int8->descriptor().weights);
  EXPECT_NE(exact->fingerprint(), int8->fingerprint());
  EXPECT_NE(int8->weights().layers()[0].down.int8(), nullptr);
  EXPECT_NE(int8->weights().head().int8(), nullptr);
  EXPECT_EQ(int8->weights().embedding().int8(), nullptr);

  ThreadPool pool(2);
  const auto tokens = test::randomTokens(config, 60, 32);
  const auto logitsOf = [&](const Model& model) {
    const Transformer transformer(model, pool);
    KvPages pages(config, codec::ElementType::kF32, 60);
    auto pass = transformer.begin(tokens, test::positionsFrom(0, 60));
    transformer.run(*pass, pages);
    return transformer.logits(*pass, 59);
  };
  const std::vector<float> expected = logitsOf(*exact), found = logitsOf(*int8);
  double error = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(double{found[i]} - expected[i], 2);
    size += std::pow(double{expected[i]}, 2);
  }
  EXPECT_GT(error, 0);
  // Rounding to 1/127 of the largest value is about 1 % of a row's size a product, of which a
  // layer has four one behind the other.
  EXPECT_LT(std::sqrt(error / size), 0.05);
}

}  // namespace
}  // namespace spolia::engine
