// The commands of `spolia` against a real spoliad.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/sample_stream.h"
#include "tests/e2e/server_process.h"

namespace spolia::test {
namespace {

class SpoliaCli : public testing::Test {
 protected:
  SpoliaCli() : server_(directory_.path()) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.errors(); }

  Outcome spolia(std::vector<std::string> words) {
    words.insert(words.begin(), spoliaProgram());
    words.insert(words.end(), {"--server", server_.unixAddress()});
    return runCommand(words);
  }
  std::string file(const std::string& name) { return (directory_.path() / name).string(); }
  std::string streamFile(const SampleStream& stream) {
    writeText(file("stream"), std::string(asText(stream.bytes)));
    return file("stream");
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
};

TEST_F(SpoliaCli, ChunkGoesInAndComesBackOverBothSockets) {
  const auto stream = sampleStream(1, 200, {});
  const auto put = spolia({"put", streamFile(stream)});
  ASSERT_EQ(put.code, 0) << put.err;
  EXPECT_EQ(put.out, stream.id.hex() + "\n");

  for (const std::string& address : {server_.tcp(), server_.unixAddress()}) {
    const auto get = runCommand(
        {spoliaProgram(), "get", stream.id.hex(), "-o", file("back"), "--server", address});
    ASSERT_EQ(get.code, 0) << get.err;
    EXPECT_EQ(readText(file("back")), asText(stream.bytes));
  }
  const auto verify = spolia({"verify", stream.id.hex(), "--json"});
  ASSERT_EQ(verify.code, 0) << verify.err;
  EXPECT_EQ(nlohmann::json::parse(verify.out)["tokens"], 200);
}

TEST_F(SpoliaCli, SecondPutOfAChunkSaysItExists) {
  const auto stream = sampleStream(2, 64, {});
  const std::string path = streamFile(stream);
  EXPECT_EQ(nlohmann::json::parse(spolia({"put", path, "--json"}).out)["outcome"], "stored");
  EXPECT_EQ(nlohmann::json::parse(spolia({"put", path, "--json"}).out)["outcome"], "exists");
}

TEST_F(SpoliaCli, ValuesByNameAndByIdAndListing) {
  writeText(file("value"), "some text");
  ASSERT_EQ(spolia({"put", file("value"), "--kind", "manifest", "--name", "a.md"}).code, 0);
  const std::string id(64, 'a');
  ASSERT_EQ(spolia({"put", file("value"), "--kind", "opaque", "--id", id}).code, 0);

  const auto all = spolia({"ls"});
  EXPECT_NE(all.out.find("a.md"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find(id), std::string::npos) << all.out;
  const auto manifests = spolia({"ls", "--kind", "manifest", "--json"});
  const auto entry = nlohmann::json::parse(manifests.out);
  EXPECT_EQ(entry["label"], "a.md");
  EXPECT_EQ(entry["bytes"], 9);

  const auto get = spolia({"get", id, "-o", "-"});
  EXPECT_EQ(get.out, "some text");
  EXPECT_EQ(spolia({"stat", "--name", "a.md", "--kind", "manifest"}).code, 0);
  EXPECT_EQ(spolia({"rm", id}).code, 0);
  EXPECT_EQ(spolia({"rm", id}).code, 3);
  EXPECT_EQ(spolia({"get", id, "-o", file("no")}).code, 3);
  EXPECT_FALSE(std::filesystem::exists(file("no")));
}

TEST_F(SpoliaCli, ServerStatAndPing) {
  const auto stat = spolia({"stat", "--json"});
  ASSERT_EQ(stat.code, 0) << stat.err;
  EXPECT_EQ(nlohmann::json::parse(stat.out)["capacity_bytes"], 128 << 20);
  EXPECT_EQ(spolia({"ping"}).code, 0);
}

TEST_F(SpoliaCli, DamagedStreamFileIsRefusedAndNotStored) {
  auto stream = sampleStream(3, 64, {});
  stream.bytes[stream.bytes.size() / 2] ^= std::byte{1};
  const std::string path = streamFile(stream);
  EXPECT_EQ(spolia({"verify", path}).code, 5);
  const auto put = spolia({"put", path});
  EXPECT_EQ(put.code, 5);
  EXPECT_NE(put.err.find(path), std::string::npos) << put.err;
  EXPECT_EQ(spolia({"stat", stream.id.hex()}).code, 3);
}

TEST_F(SpoliaCli, WrongUse) {
  EXPECT_EQ(spolia({"get", "abc", "-o", "-"}).code, 2);
  EXPECT_EQ(spolia({"fetch"}).code, 2);
  EXPECT_EQ(spolia({"put", file("none")}).code, 1);
  EXPECT_EQ(runCommand({spoliaProgram(), "ping", "--server", "http://x"}).code, 1);
  EXPECT_EQ(runCommand({spoliaProgram(), "ping", "--server", "spolia://127.0.0.1:1"}).code, 4);
  EXPECT_EQ(runCommand({spoliaProgram(), "--version"}).code, 0);
  EXPECT_NE(runCommand({spoliaProgram(), "--help"}).out.find("Exit codes"), std::string::npos);
}

}  // namespace
}  // namespace spolia::test
