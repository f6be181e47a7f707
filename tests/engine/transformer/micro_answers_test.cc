// The model in the tree gives the answers that PyTorch gives with the same files: greedy tokens of
// 40 prompts and the largest logits behind the first of them (bench/fidelity/torch_answers.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {
namespace {

using codec::TokenId;

class MicroAnswers : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::filesystem::path root = SPOLIA_SOURCE_DIR;
    auto loaded = Model::load(root / "engine/models/micro", {.digestCache = std::nullopt});
    ASSERT_TRUE(loaded.ok()) << loaded.status().toString();
    model_ = std::move(*loaded);
    std::ifstream file(root / "tests/golden/engine/micro_answers.json");
    golden_ = nlohmann::json::parse(file);
    ASSERT_GE(golden_["prompts"].size(), 40u);
  }
  static void TearDownTestSuite() { model_.reset(); }

  // BOS and the segments' ids.
  static std::vector<TokenId> promptOf(const nlohmann::json& golden) {
    std::vector<TokenId> ids{golden_["bos"].get<TokenId>()};
    for (const auto& segment : golden["segment_ids"]) {
      for (const auto& id : segment) ids.push_back(id.get<TokenId>());
    }
    return ids;
  }

  static std::unique_ptr<Model> model_;
  static nlohmann::json golden_;
};

std::unique_ptr<Model> MicroAnswers::model_;
nlohmann::json MicroAnswers::golden_;

TEST_F(MicroAnswers, TokenizerGivesTheSameIds) {
  for (const auto& golden : golden_["prompts"]) {
    for (size_t i = 0; i < golden["segments"].size(); ++i) {
      const auto ids = model_->tokenizer().encode(golden["segments"][i].get<std::string>());
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(*ids, golden["segment_ids"][i].get<std::vector<TokenId>>());
    }
  }
}

TEST_F(MicroAnswers, GreedyAnswersAreTheSame) {
  ThreadPool pool(2);
  const Transformer transformer(*model_, pool);
  const TokenId eos = golden_["eos"].get<TokenId>();
  double worst = 0;
  for (const auto& golden : golden_["prompts"]) {
    const std::vector<TokenId> prompt = promptOf(golden);
    const auto expected = golden["answer_ids"].get<std::vector<TokenId>>();
    KvPages pages(model_->config(), codec::ElementType::kF32,
                  static_cast<uint32_t>(prompt.size() + expected.size() + 1));
    std::vector<uint32_t> positions(prompt.size());
    for (uint32_t i = 0; i < positions.size(); ++i) positions[i] = i;
    auto pass = transformer.begin(prompt, positions, OutputRows::kLast);
    ASSERT_TRUE(pass.ok());
    transformer.run(*pass, pages);
    std::vector<float> logits = transformer.logits(*pass, pass->rows() - 1);
    for (size_t i = 0; i < golden["top_ids"].size(); ++i) {
      const float ours = logits[golden["top_ids"][i].get<TokenId>()];
      worst = std::max<double>(worst, std::abs(ours - golden["top_logits"][i].get<float>()));
    }
    std::vector<TokenId> answer;
    for (uint32_t at = positions.back() + 1;; ++at) {
      const TokenId next = argmax(logits);
      if (next == eos || answer.size() > expected.size()) break;
      answer.push_back(next);
      auto step = transformer.begin(std::span(&next, 1), std::span(&at, 1));
      ASSERT_TRUE(step.ok());
      transformer.run(*step, pages);
      logits = transformer.logits(*step, 0);
    }
    EXPECT_EQ(answer, expected) << golden["answer"];
  }
  // The file has four decimals; two f32 implementations of 4 layers differ by less than that.
  EXPECT_LT(worst, 2e-3);
  RecordProperty("worst_logit_difference", std::to_string(worst));
}

}  // namespace
}  // namespace spolia::engine
