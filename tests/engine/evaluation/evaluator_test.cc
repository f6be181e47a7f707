#include "engine/evaluation/evaluator.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

class EvaluatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto model = Model::load(std::string(SPOLIA_SOURCE_DIR) + "/engine/models/micro",
                             {.digestCache = std::nullopt});
    ASSERT_TRUE(model.ok()) << model.status().toString();
    model_ = *std::move(model);
    for (int i = 0; i < 5; ++i) {
      const std::string city = i % 2 == 0 ? "Paris" : "Rome";
      worlds_.push_back(
          {"family",
           {"Peter lives in the city of Oslo. The rain stopped late in the "
            "afternoon.\n",
            "Clouds gathered slowly above the quiet roofs. Maria lives in the city of " + city +
                ".\n"},
           "Where does Maria live?",
           city,
           DependentPlace{1, 46}});
    }
  }

  Result<Evaluation> run(std::vector<std::string> methods, unsigned threads) {
    Evaluator::Config config;
    for (const std::string& name : methods) {
      config.methods.push_back(*methodChoiceFromName(name, 16));
    }
    config.presets = {*presetChoiceFromName("lossless"), *presetChoiceFromName("high")};
    config.threads = threads;
    return Evaluator(*model_, config).run(worlds_);
  }

  std::unique_ptr<Model> model_;
  std::vector<World> worlds_;
};

TEST_F(EvaluatorTest, EverySetupIsTriedOnEveryWorld) {
  const auto evaluation = run({"reuse", "first-k:3"}, 1);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().toString();
  std::vector<std::string> names;
  for (const Variant& variant : evaluation->variants) {
    names.push_back(variant.method.name + "/" + variant.preset);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"full/-", "reuse/lossless", "first-k:3/lossless",
                                             "reuse/high", "first-k:3/high"}));
  ASSERT_EQ(evaluation->worlds.size(), worlds_.size());
  for (const WorldResult& world : evaluation->worlds) {
    EXPECT_EQ(world.row, 8u);  // every sentence is eight tokens
    ASSERT_EQ(world.trials.size(), 5u);
    EXPECT_EQ(world.trials[0].rowsComputed, world.trials[0].rows);
    EXPECT_EQ(world.trials[2].rowsComputed, world.trials[1].rowsComputed + 3);
    EXPECT_EQ(world.trials[4].rowsComputed, world.trials[2].rowsComputed);
    EXPECT_EQ(world.trials[0].fp16Bytes, 0u);
    // 34 tokens, 5 layers, K and V of 2 heads of 48, two bytes each.
    EXPECT_EQ(world.trials[1].fp16Bytes, 34u * 5 * 2 * 2 * 48 * 2);
    EXPECT_EQ(world.trials[1].storedBytes, world.trials[2].storedBytes);
    EXPECT_LT(world.trials[3].storedBytes, world.trials[1].storedBytes);
  }
  EXPECT_TRUE(evaluation->worlds[0].trials[0].right) << evaluation->worlds[0].trials[0].given;
  EXPECT_TRUE(evaluation->worlds[1].trials[0].right) << evaluation->worlds[1].trials[0].given;
}

TEST_F(EvaluatorTest, ThreadsChangeNothing) {
  const auto one = run({"first-k"}, 1), many = run({"first-k"}, 3);
  ASSERT_TRUE(one.ok() && many.ok());
  for (size_t i = 0; i < worlds_.size(); ++i) {
    for (size_t j = 0; j < one->variants.size(); ++j) {
      EXPECT_EQ(one->worlds[i].trials[j].given, many->worlds[i].trials[j].given);
    }
  }
}

TEST_F(EvaluatorTest, AWorldThatDoesNotFitIsNamed) {
  worlds_[3].chunks.assign(300, worlds_[3].chunks[0]);
  const auto evaluation = run({"reuse"}, 2);
  ASSERT_FALSE(evaluation.ok());
  EXPECT_NE(evaluation.status().message().find("world 4"), std::string::npos)
      << evaluation.status().message();
}

TEST(MethodChoice, Names) {
  EXPECT_EQ(methodChoiceFromName("first-k", 5)->k, 5u);
  EXPECT_EQ(methodChoiceFromName("first-k:32", 5)->k, 32u);
  EXPECT_EQ(methodChoiceFromName("reuse", 5)->method, LinkMethod::kReuse);
  for (const char* bad : {"", "first", "first-k:", "first-k:0", "first-k:-1", "first-k:x",
                          "first-k:1000001", "first-k:99999999999", "reuse:3", ":3"}) {
    EXPECT_EQ(methodChoiceFromName(bad, 5).status().code(), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(PresetChoice, Names) {
  EXPECT_EQ(presetChoiceFromName("high")->preset, codec::Preset::kHigh);
  EXPECT_EQ(presetChoiceFromName("small")->gain, 0);
  EXPECT_EQ(presetChoiceFromName("small:-4")->preset, codec::Preset::kSmall);
  EXPECT_EQ(presetChoiceFromName("small:-4")->gain, -4);
  EXPECT_EQ(presetChoiceFromName("balanced:3")->name, "balanced:3");
  for (const char* bad :
       {"", "tiny", "small:", "small:x", "small:1 ", "small:128", "high:1", ":1"}) {
    EXPECT_EQ(presetChoiceFromName(bad).status().code(), ErrorCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace spolia::engine
