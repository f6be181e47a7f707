// The engine against logits that PyTorch computed in float64; see tests/golden/engine.
//
// Tolerance. An f32 sum of n terms is off by about sqrt(n) u of the size of its terms, u = 2^-24:
// rounding errors add up like a random walk. A logit lies behind 9 such sums a layer (seven
// products, the two of attention; norms are cheaper) and the head's; the residual stream carries
// errors on without multiplying them. So one logit is off by about
//   e = sqrt(n) u sqrt(9 L + 1), relative to the largest logit of its row,
// with n the longest sum there is. kSafety covers the worst of some 30,000 logits (4 sigma) and
// the amplification by exponentials and norms (2).
#include <cmath>

#include "engine/gguf/model_loading.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using codec::ElementType;
using codec::TokenId;

constexpr double kUnitRoundoff = 0x1p-24;
constexpr double kSafety = 8;
constexpr double kBf16Step = 0x1p-8;  // relative, between neighbours

const char* const kModels[] = {
    "tied_group4_bf16", "untied_group1_f32_shards", "tied_group2_f16", "mistral_window",
    "qwen2_dynamic", "qwen3_yarn", "llama3_biases", "llama_linear",
    // With model.gguf, one of each type of weights.
    "gguf_llama_f32", "gguf_mistral_f16", "gguf_qwen3_bf16", "gguf_llama_q8_0", "gguf_qwen2_q4_0",
    "gguf_llama_q4_k", "gguf_qwen3_q6_k"};

struct Golden {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<uint32_t> firstRows;  // of each prompt, the first row whose logits are kept
  std::vector<float> f32, bf16;     // [kept rows of all prompts][vocab]
};

std::vector<float> readFloats(const std::filesystem::path& path) {
  const std::string bytes = readAll(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

class GoldenLogits : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto dir = goldenDir(GetParam());
    const bool gguf = std::filesystem::exists(dir / "model.gguf");
    auto loaded = loadModel(gguf ? dir / "model.gguf" : dir, {.digestCache = std::nullopt});
    ASSERT_TRUE(loaded.ok()) << loaded.status().toString();
    model_ = std::move(loaded).value();
    const auto file = nlohmann::json::parse(readAll(dir / "golden.json"));
    golden_.prompts = file["prompts"].get<std::vector<std::vector<TokenId>>>();
    golden_.firstRows = file.value("first_rows", std::vector<uint32_t>(golden_.prompts.size(), 0));
    golden_.f32 = readFloats(dir / "logits_f32.bin");
    golden_.bf16 = readFloats(dir / "logits_bf16.bin");
    ASSERT_EQ(golden_.f32.size(), golden_.bf16.size());
  }

  // Logits of every kept row, in passes of the given numbers of rows (the rest at once at the end).
  std::vector<float> run(ElementType type, const std::vector<uint32_t>& passes = {}) {
    std::vector<float> out;
    for (size_t p = 0; p < golden_.prompts.size(); ++p) {
      const auto& prompt = golden_.prompts[p];
      KvPages pages(model_->config(), type, static_cast<uint32_t>(prompt.size()));
      uint32_t done = 0;
      for (size_t i = 0; done < prompt.size(); ++i) {
        const auto rest = static_cast<uint32_t>(prompt.size()) - done;
        const uint32_t rows = i < passes.size() ? std::min(passes[i], rest) : rest;
        appendPass(std::span(prompt).subspan(done, rows), done, golden_.firstRows[p], pages, out);
        done += rows;
      }
    }
    EXPECT_EQ(out.size(), golden_.f32.size());
    return out;
  }

  // The error one logit of this row may have by the formula above.
  double tolerance(size_t row, const std::vector<float>& golden) const {
    const ModelConfig& config = model_->config();
    double largest = 0;
    for (size_t i = 0; i < config.vocabSize; ++i) {
      largest = std::max(largest, std::abs(double{golden[row * config.vocabSize + i]}));
    }
    return kSafety * relativeError() * largest;
  }

  // e of the formula above.
  double relativeError() const {
    const ModelConfig& config = model_->config();
    const uint32_t longest =
        std::max({config.hiddenSize, config.queryChannels(), config.ffnSize, 80u});
    return std::sqrt(longest) * kUnitRoundoff * std::sqrt(9.0 * config.layers + 1);
  }

  void expectClose(const std::vector<float>& found, const std::vector<float>& golden) const {
    const size_t vocab = model_->config().vocabSize;
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < golden.size(); ++i) {
      const double error = std::abs(double{found[i]} - golden[i]) / tolerance(i / vocab, golden);
      if (!(error <= worst)) {
        worst = error;
        at = i;
      }
    }
    EXPECT_LE(worst, 1) << "row " << at / vocab << " of those kept, token " << at % vocab << ": "
                        << found[at] << ", expected " << golden[at] << " +- "
                        << tolerance(at / vocab, golden);
    RecordProperty("worst_share_of_tolerance_percent", static_cast<int>(100 * worst));
  }

  std::unique_ptr<Model> model_;
  Golden golden_;

 private:
  void appendPass(std::span<const TokenId> tokens, uint32_t first, uint32_t firstKept,
                  KvPages& pages, std::vector<float>& out) {
    std::vector<uint32_t> positions(tokens.size());
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = first + static_cast<uint32_t>(i);
    const Transformer transformer(*model_, pool_);
    auto pass = transformer.begin(tokens, positions);
    ASSERT_TRUE(pass.ok()) << pass.status().toString();
    transformer.run(*pass, pages);
    for (size_t row = 0; row < tokens.size(); ++row) {
      if (positions[row] < firstKept) continue;
      const std::vector<float> logits = transformer.logits(*pass, row);
      out.insert(out.end(), logits.begin(), logits.end());
    }
  }

  ThreadPool pool_{2};
};

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST_P(GoldenLogits, FullPrecisionPages) {
  expectClose(run(ElementType::kF32), golden_.f32);
}

TEST_P(GoldenLogits, PassesOfAnySize) {
  expectClose(run(ElementType::kF32, {1, 1, 30, 33, 1, 7}), golden_.f32);
}

// Rounding K and V to bf16 moves the logits by something, R. Where engine and PyTorch disagree on
// the way an element is rounded it lies so close to the middle between neighbours that their f32
// errors, e, decide: a share e / step of all elements. Errors of such a share of the elements are
// sqrt(e / step) of R, in the mean over all logits; kSafety as above. For the test to mean
// something this must be far below R.
TEST_P(GoldenLogits, Bf16Pages) {
  const double moved = rms(golden_.bf16, golden_.f32);
  const double share = kSafety * std::sqrt(relativeError() / kBf16Step);
  ASSERT_LT(share, 0.5);
  const auto found = run(ElementType::kBf16);
  EXPECT_LE(rms(found, golden_.bf16), share * moved);
  EXPECT_GT(rms(found, golden_.f32), 0.5 * moved) << "was anything rounded?";
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenLogits, testing::ValuesIn(kModels),
                         [](const auto& chosen) { return std::string(chosen.param); });

}  // namespace
}  // namespace spolia::engine
