#include "server/service/model_registry.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace spolia::service {
namespace {

using IfNew = ModelRegistry::IfNew;

codec::ModelDescriptor model(int weights, int rope) {
  codec::ModelDescriptor out;
  out.weights.bytes[0] = static_cast<std::byte>(weights);
  out.rope.bytes[0] = static_cast<std::byte>(rope);
  out.numerics = "f32";
  return out;
}

class ModelRegistryTest : public testing::Test {
 protected:
  ModelRegistry load() {
    auto registry = ModelRegistry::load(path_);
    EXPECT_TRUE(registry.ok()) << registry.status().toString();
    return std::move(*registry);
  }
  test::TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "models.txt";
};

TEST_F(ModelRegistryTest, NamesKeepTheirModelAcrossLoads) {
  {
    auto registry = load();
    const auto fingerprint = registry.agree("t", "llama:8b", model(1, 2), IfNew::kRegister);
    ASSERT_TRUE(fingerprint.ok()) << fingerprint.status().toString();
    EXPECT_EQ(*fingerprint, codec::fingerprintOf(model(1, 2)));
    ASSERT_TRUE(registry.agree("u", "llama:8b", model(3, 2), IfNew::kRegister).ok());
  }
  auto registry = load();
  EXPECT_EQ(registry.size(), 2u);
  EXPECT_TRUE(registry.agree("t", "llama:8b", model(1, 2), IfNew::kRefuse).ok());
  EXPECT_TRUE(registry.agree("u", "llama:8b", model(3, 2), IfNew::kRefuse).ok());
}

TEST_F(ModelRegistryTest, AnotherModelUnderTheNameNamesTheFields) {
  auto registry = load();
  ASSERT_TRUE(registry.agree("t", "m", model(1, 2), IfNew::kRegister).ok());
  const auto other = registry.agree("t", "m", model(1, 3), IfNew::kRegister);
  EXPECT_EQ(other.status().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(other.status().message().find("another rope;"), std::string::npos)
      << other.status().message();
  EXPECT_TRUE(registry.agree("t", "m", model(1, 2), IfNew::kRefuse).ok());
}

TEST_F(ModelRegistryTest, NewNamesNeedTheRightAndAWellFormedName) {
  auto registry = load();
  EXPECT_EQ(registry.agree("t", "m", model(1, 2), IfNew::kRefuse).status().code(),
            ErrorCode::kPermissionDenied);
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string(129, 'a')}) {
    EXPECT_EQ(registry.agree("t", name, model(1, 2), IfNew::kRegister).status().code(),
              ErrorCode::kInvalidArgument);
  }
  auto strange = model(1, 2);
  strange.numerics = "f32\nt m";
  EXPECT_EQ(registry.agree("t", "m", strange, IfNew::kRegister).status().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(registry.size(), 0u);
}

TEST_F(ModelRegistryTest, BrokenFilesAreNamedWithTheLine) {
  for (const char* text : {"other 1\n", "spolia models 1\nt m 12\n", "spolia models 1\n\n"}) {
    std::ofstream(path_) << text;
    const auto registry = ModelRegistry::load(path_);
    ASSERT_FALSE(registry.ok()) << text;
    EXPECT_NE(registry.status().message().find("models.txt:"), std::string::npos);
  }
}

}  // namespace
}  // namespace spolia::service
