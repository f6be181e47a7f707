#include "engine/engine_config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

namespace spolia::engine {
namespace {

class EngineConfigTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& content) {
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) /
                                       ("engine_config_" + std::to_string(::getpid()) + ".toml");
    std::ofstream(path) << content;
    return path;
  }
  Result<EngineConfig> load(const std::string& content) {
    ConfigSources sources;
    sources.file = write(content);
    return loadEngineConfig(sources);
  }
  // The message of a refused file.
  std::string refusal(const std::string& content) {
    const Result<EngineConfig> config = load(content);
    EXPECT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), ErrorCode::kInvalidArgument);
    return config.status().message();
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(EngineConfigTest, FlagWinsOverEnvironmentOverFileOverDefault) {
  ConfigSources sources;
  EXPECT_EQ(loadEngineConfig(sources)->k, kDefaultFirstK);
  sources.file = write("[link]\nk = 3\nmethod = \"reuse\"\n[compute]\nkv_type = \"f16\"\n");
  EXPECT_EQ(loadEngineConfig(sources)->k, 3u);
  sources.environment["SPOLIA_ENGINE_LINK_K"] = "5";
  EXPECT_EQ(loadEngineConfig(sources)->k, 5u);
  sources.flags.push_back({"link.k", "7", "-k"});
  const Result<EngineConfig> config = loadEngineConfig(sources);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->k, 7u);
  EXPECT_EQ(config->method, LinkMethod::kReuse);
  EXPECT_EQ(config->kvType, codec::ElementType::kF16);
}

TEST_F(EngineConfigTest, UnknownNamesAreRefusedWithTheNearest) {
  EXPECT_TRUE(contains(refusal("[link]\nmetod = \"full\"\n"), "did you mean 'link.method'?"));
  EXPECT_TRUE(contains(refusal("[link]\nmetod = \"full\"\n"), ":2:"));
  EXPECT_TRUE(contains(refusal("[lnik]\nk = 3\n"), "did you mean 'link'?"));
  EXPECT_FALSE(contains(refusal("[quantum]\nk = 3\n"), "did you mean"));
  ConfigSources sources;
  sources.environment["SPOLIA_ENGINE_LINK_KK"] = "5";
  EXPECT_TRUE(contains(loadEngineConfig(sources).status().message(), "SPOLIA_ENGINE_LINK_K'?"));
}

TEST_F(EngineConfigTest, BadValuesNameTheirOrigin) {
  EXPECT_TRUE(contains(refusal("[link]\nk = \"3\"\n"), "link.k: expected a number"));
  EXPECT_TRUE(contains(refusal("[link]\nk = -3\n"), "link.k: expected a number from 0"));
  EXPECT_TRUE(contains(refusal("[ingest]\nchunk_tokens = 3\n"), "expected a number from 16"));
  EXPECT_TRUE(contains(refusal("[ingest]\npreset = 3\n"), "expected a text"));
  EXPECT_TRUE(contains(refusal("[store]\ncapacity = \"8 GB\"\n"), "expected a size"));
  EXPECT_TRUE(contains(refusal("[store]\ncache = \"http://x\"\n"), "spolia://"));
  EXPECT_TRUE(contains(refusal("[ask]\ntemplate = \"no place\"\n"), "{question}"));
  EXPECT_TRUE(contains(refusal("[link\n"), ":1:"));
  ConfigSources sources;
  sources.flags.push_back({"link.method", "first", "--method"});
  EXPECT_TRUE(contains(loadEngineConfig(sources).status().message(), "--method: "));
  sources.file = "/nonexistent/engine.toml";
  EXPECT_EQ(loadEngineConfig(sources).status().code(), ErrorCode::kNotFound);
}

TEST_F(EngineConfigTest, StrongerSourceChoosesThePlace) {
  ConfigSources sources;
  sources.file = write("[store]\ncache = \"spolia://a:1\"\n");
  sources.flags.push_back({"store.directory", "/tmp/x", "--store"});
  const Result<EngineConfig> config = loadEngineConfig(sources);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->cache, "");
  EXPECT_EQ(config->store, "/tmp/x");
  sources.flags.push_back({"store.cache", "spolia://b:1", "--cache"});
  EXPECT_TRUE(contains(loadEngineConfig(sources).status().message(), "expected one"));
}

TEST_F(EngineConfigTest, SizesHaveUnits) {
  EXPECT_EQ(parseBytes("4096").value(), 4096u);
  EXPECT_EQ(parseBytes("64 MiB").value(), 64u << 20);
  EXPECT_EQ(parseBytes("8GiB").value(), 8ull << 30);
  for (const char* bad : {"", "MiB", "-1", "1.5 GiB", "8 gib", "99999999999 TiB"}) {
    EXPECT_FALSE(parseBytes(bad).ok()) << bad;
  }
}

// The file that documents the keys has all of them, with the defaults.
TEST_F(EngineConfigTest, ShippedFileHoldsTheDefaults) {
  std::ifstream in(std::string(SPOLIA_SOURCE_DIR) + "/conf/engine.toml");
  std::ostringstream content;
  content << in.rdbuf();
  const std::string uncommented =
      std::regex_replace(content.str(), std::regex("# ([a-z_]+ = )"), "$1");
  const std::string withoutCache =
      std::regex_replace(uncommented, std::regex("\ncache = [^\n]*"), "\ncache = \"\"");
  const Result<EngineConfig> config = load(withoutCache);
  ASSERT_TRUE(config.ok()) << config.status().message();
  const EngineConfig defaults;
  EXPECT_EQ(config->kvType, defaults.kvType);
  EXPECT_EQ(config->storeCapacity, defaults.storeCapacity);
  EXPECT_EQ(config->storeMemory, defaults.storeMemory);
  EXPECT_EQ(config->chunkTokens, defaults.chunkTokens);
  EXPECT_EQ(config->preset, defaults.preset);
  EXPECT_EQ(config->method, defaults.method);
  EXPECT_EQ(config->k, defaults.k);
  EXPECT_EQ(config->patienceMs, defaults.patienceMs);
  EXPECT_EQ(config->lookaheadLayers, defaults.lookaheadLayers);
  EXPECT_EQ(config->maxTokens, defaults.maxTokens);
  EXPECT_EQ(config->questionTemplate, defaults.questionTemplate);
  for (const std::string& key : engineConfigKeys()) {
    EXPECT_TRUE(contains(withoutCache, "\n" + key.substr(key.find('.') + 1) + " = ")) << key;
  }
}

}  // namespace
}  // namespace spolia::engine
