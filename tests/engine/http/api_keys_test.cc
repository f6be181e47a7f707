#include "engine/http/api_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "codec/base/bytes.h"
#include "tests/support/temporary_directory.h"

namespace spolia::engine {
namespace {

constexpr char kKey[] = "correct-horse-battery";

std::string refused(const std::string& text) {
  const auto keys = ApiKeys::parse(text, "keys");
  EXPECT_FALSE(keys.ok()) << text;
  EXPECT_EQ(keys.status().message().find(kKey), std::string::npos) << "tells a key";
  return keys.status().message();
}

TEST(ApiKeys, NamesWhoHoldsAKey) {
  const auto keys = ApiKeys::parse(std::string("# who\n\nann: ") + kKey + " \r\nbob:" +
                                       toHex(sha256(asBytes("the-key-of-robert"))) + "\n",
                                   "keys");
  ASSERT_TRUE(keys.ok()) << keys.status().message();
  EXPECT_EQ(keys->nameOf(std::string("Bearer ") + kKey), "ann");
  EXPECT_EQ(keys->nameOf("bearer  the-key-of-robert"), "bob");
  for (const char* other :
       {"", "Bearer", "Bearer ", "correct-horse-battery", "Basic correct-horse-battery",
        "Bearer correct-horse-batter", "Bearer correct-horse-battery2"}) {
    EXPECT_EQ(keys->nameOf(other), std::nullopt) << other;
  }
  // A digest is no key.
  EXPECT_EQ(keys->nameOf("Bearer " + toHex(sha256(asBytes("the-key-of-robert")))), std::nullopt);
}

TEST(ApiKeys, ErrorsNameTheLineAndNoKey) {
  const std::string key = kKey;
  EXPECT_EQ(refused("#\n" + key), "keys:2: expected NAME:KEY or NAME:SHA256");
  EXPECT_EQ(refused(":" + key), "keys:1: expected NAME:KEY or NAME:SHA256");
  EXPECT_EQ(refused("a:short"), "keys:1: expected a key of at least 16 characters without blanks");
  EXPECT_EQ(refused("a:" + key + " " + key),
            "keys:1: expected a key of at least 16 characters without blanks");
  EXPECT_EQ(refused("a:" + key + "\na:" + key),
            "keys:2: expected another name, \"a\" stands further up");
  EXPECT_EQ(refused("# none\n"), "keys has no keys, expected lines NAME:KEY");
}

TEST(ApiKeys, KeysThatOthersCanReadAreRefused) {
  const test::TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "keys";
  const auto load = [&](const std::string& text, mode_t mode) {
    std::ofstream(file) << text;
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return ApiKeys::load(file);
  };
  const std::string plain = std::string("a:") + kKey + "\n";
  EXPECT_TRUE(load(plain, 0600).ok());
  EXPECT_EQ(load(plain, 0640).status().message(),
            file.string() +
                " can be read by others, expected mode 600 (chmod 600), or SHA-256 "
                "digests in place of keys");
  EXPECT_FALSE(load(plain, 0604).ok());
  EXPECT_TRUE(load("a:" + toHex(sha256(asBytes(kKey))), 0644).ok());
}

}  // namespace
}  // namespace spolia::engine
