#include "engine/transformer/decode_batch.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/allocation_counter.h"
#include "tests/support/compare.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using codec::ElementType;
using Tokens = std::vector<codec::TokenId>;

constexpr uint32_t kSteps = 6;

// A sequence: its tokens, and the pages that hold all but the last kSteps of them.
struct Sequence {
  Sequence(const Transformer& transformer, ElementType type, uint32_t length, uint64_t seed)
      : tokens(test::randomTokens(transformer.config(), length, seed)),
        pages(std::make_unique<KvPages>(transformer.config(), type, length)),
        next(length - kSteps) {
    if (next == 0) return;
    auto pass = transformer.begin(std::span(tokens).first(next), test::positionsFrom(0, next));
    SPOLIA_CHECK(pass.ok());
    transformer.run(*pass, *pages);
  }
  DecodeRow row() const { return {pages.get(), tokens[next], next}; }

  Tokens tokens;
  std::unique_ptr<KvPages> pages;
  uint32_t next;
};

// Logits of every row that kSteps of decoding compute, by the passes that are known to be right.
std::vector<std::vector<float>> expected(const Transformer& transformer, ElementType type,
                                         const Tokens& tokens) {
  KvPages pages(transformer.config(), type, static_cast<uint32_t>(tokens.size()));
  auto pass = transformer.begin(tokens, test::positionsFrom(0, tokens.size()));
  SPOLIA_CHECK(pass.ok());
  transformer.run(*pass, pages);
  std::vector<std::vector<float>> out;
  for (size_t r = tokens.size() - kSteps; r < tokens.size(); ++r) {
    out.push_back(transformer.logits(*pass, r));
  }
  return out;
}

std::vector<float> rowOf(const MatrixView& logits, size_t row) {
  return {logits.row(row), logits.row(row) + logits.columns()};
}

struct BatchCase {
  test::Variant variant;
  ElementType type;
};
void PrintTo(const BatchCase& c, std::ostream* out) {
  *out << c.variant.name << " " << codec::elementTypeName(c.type);
}
std::vector<BatchCase> cases() {
  std::vector<BatchCase> out;
  for (const ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
    out.push_back({{"plain", test::tinyConfig()}, type});
  }
  for (const test::Variant& variant : test::tinyVariants()) {
    out.push_back({variant, ElementType::kBf16});
  }
  return out;
}

class DecodeBatchTest : public testing::TestWithParam<BatchCase> {};

// Lengths around the ends of pages and runs; sequences join and leave while others go on.
TEST_P(DecodeBatchTest, RowsHaveTheBitsOfAPassOfTheirOwn) {
  const ModelConfig& config = GetParam().variant.config;
  const auto model = test::makeTinyModel(config, 3);
  for (const unsigned threads : {1u, 3u}) {
    ThreadPool pool(threads);
    const Transformer transformer(*model, pool, Rounding::kInvariant);
    std::vector<Sequence> sequences;
    uint64_t seed = 0;
    for (const uint32_t length : {kSteps, 7u, 66u, 67u, 130u, 259u, 300u}) {
      sequences.emplace_back(transformer, GetParam().type, length, ++seed);
    }
    DecodeBatch batch(transformer, sequences.size());
    std::vector<std::vector<std::vector<float>>> got(sequences.size());
    for (uint32_t step = 0; step < 3 * kSteps; ++step) {
      std::vector<DecodeRow> rows;
      std::vector<size_t> who;
      for (size_t i = 0; i < sequences.size(); ++i) {
        if (got[i].size() == kSteps || step < i) continue;
        rows.push_back(sequences[i].row());
        who.push_back(i);
      }
      if (rows.empty()) break;
      const MatrixView logits = batch.step(rows);
      for (size_t r = 0; r < rows.size(); ++r) {
        got[who[r]].push_back(rowOf(logits, r));
        ++sequences[who[r]].next;
      }
    }
    for (size_t i = 0; i < sequences.size(); ++i) {
      SCOPED_TRACE(sequences[i].tokens.size());
      EXPECT_EQ(got[i], expected(transformer, GetParam().type, sequences[i].tokens));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DecodeBatchTest, testing::ValuesIn(cases()));

// The fast way rounds sums differently for one row and for several, no more than a pass does.
TEST(DecodeBatch, FastRoundingIsCloseToInvariant) {
  const auto model = test::makeTinyModel(test::tinyConfig(), 4);
  ThreadPool pool(2);
  const Transformer fast(*model, pool), invariant(*model, pool, Rounding::kInvariant);
  DecodeBatch quick(fast, 3), exact(invariant, 3);
  std::vector<Sequence> a, b;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    a.emplace_back(fast, ElementType::kF32, 90, seed);
    b.emplace_back(invariant, ElementType::kF32, 90, seed);
  }
  const std::vector<DecodeRow> rows = {a[0].row(), a[1].row(), a[2].row()};
  const std::vector<DecodeRow> same = {b[0].row(), b[1].row(), b[2].row()};
  EXPECT_TRUE(test::closeTo(quick.step(rows), exact.step(same), 1e-4));
}

// Neither the context nor the batch makes a step allocate more than the few small lists that hand
// out its work.
TEST(DecodeBatch, AStepAllocatesNothingOfTheSizeOfItsRows) {
  const auto model = test::makeTinyModel(test::tinyConfig(), 5);
  ThreadPool pool(1);
  const Transformer transformer(*model, pool);
  DecodeBatch batch(transformer, 8);
  std::vector<Sequence> sequences;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    sequences.emplace_back(transformer, ElementType::kBf16, 500, seed);
  }
  const auto step = [&] {
    std::vector<DecodeRow> rows;
    for (Sequence& sequence : sequences) rows.push_back(sequence.row());
    const size_t before = spolia::test::largeAllocations();
    batch.step(rows);
    const size_t count = spolia::test::largeAllocations() - before;
    for (Sequence& sequence : sequences) ++sequence.next;
    return count;
  };
  step();
  EXPECT_EQ(step(), 0u);
}

}  // namespace
}  // namespace spolia::engine
