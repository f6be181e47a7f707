// `spolia fsck` and what it runs, on a store that a real server made.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/e2e/server_process.h"
#include "tests/support/planted_flips.h"

namespace spolia::test {
namespace {

class StoreCheckCli : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = SPOLIA_BINARY_DIR "/server:" + std::string(std::getenv("PATH"));
    ::setenv("PATH", path.c_str(), 1);
    ServerProcess server(directory_.path());
    ASSERT_TRUE(server.ready()) << server.errors();
    writeText(directory_.path() / "value", std::string(100000, 'v'));
    for (const char* name : {"a", "b", "c"}) {
      const Outcome put = runCommand({spoliaProgram(), "put", directory_.path() / "value", "--kind",
                                      "opaque", "--name", name, "--server", server.unixAddress()});
      ASSERT_EQ(put.code, 0) << put.err;
    }
    const Outcome busy = fsck();
    EXPECT_EQ(busy.code, 1);
    EXPECT_NE(busy.err.find("in use by process"), std::string::npos) << busy.err;
    ASSERT_EQ(server.stop(SIGTERM), 0) << server.errors();
  }
  Outcome fsck(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> words = {spoliaProgram(), "fsck", directory_.path() / "store"};
    words.insert(words.end(), flags.begin(), flags.end());
    return runCommand(words);
  }

  TemporaryDirectory directory_;
};

TEST_F(StoreCheckCli, ASoundStoreIsSaidToBeSound) {
  const Outcome sound = fsck();
  EXPECT_EQ(sound.code, 0) << sound.err;
  EXPECT_NE(sound.out.find("3 of 3 entries intact"), std::string::npos) << sound.out;
  EXPECT_NE(sound.out.find("0 problems"), std::string::npos) << sound.out;
}

TEST_F(StoreCheckCli, DamageIsToldWithItsPlace) {
  ASSERT_EQ(flipABitInEveryRecord(directory_.path() / "store" / "segments", 2), 3u);
  const Outcome damaged = fsck();
  EXPECT_EQ(damaged.code, 1);
  EXPECT_NE(damaged.out.find("000001.seg at "), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.out.find("0 of 3 entries intact"), std::string::npos) << damaged.out;
}

TEST_F(StoreCheckCli, ALostIndexIsMadeAgain) {
  std::filesystem::remove_all(directory_.path() / "store" / "index");
  EXPECT_EQ(fsck().code, 1);
  const Outcome rebuilt = fsck({"--rebuild-index"});
  EXPECT_EQ(rebuilt.code, 0) << rebuilt.err;
  EXPECT_NE(rebuilt.out.find("the index has 3 entries"), std::string::npos) << rebuilt.out;
}

TEST_F(StoreCheckCli, NoStoreIsTold) {
  const Outcome none = runCommand({spoliaProgram(), "fsck", directory_.path() / "nowhere"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("has no store"), std::string::npos) << none.err;
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "nowhere"));
}

}  // namespace
}  // namespace spolia::test
