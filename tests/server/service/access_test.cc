#include "server/service/access.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace spolia::service {
namespace {

TEST(TokenFile, LinesGiveTenantsAndRights) {
  const auto file = TokenFile::parse(
      "# comment\n\n a read 0123456789abcdef \nb read,write fedcba9876543210\r\n"
      "c admin 0000000000000000",
      "t");
  ASSERT_TRUE(file.ok()) << file.status().toString();
  EXPECT_EQ(file->find("0123456789abcdef")->tenant, "a");
  EXPECT_EQ(file->find("0123456789abcdef")->rights, kReadRight);
  EXPECT_EQ(file->find("fedcba9876543210")->rights, kReadRight | kWriteRight);
  EXPECT_EQ(file->find("0000000000000000")->rights, kAllRights);
  EXPECT_FALSE(file->find("0123456789abcdeF"));
  EXPECT_FALSE(file->find(""));
}

TEST(TokenFile, MistakesNameTheLineAndNeverTheToken) {
  const char* const kMistakes[] = {
      "a read",
      "a read 0123456789secret x",
      "a/b read 0123456789secret",
      "a reed 0123456789secret",
      "a read shortsecret",
      "b read 0123456789secret\na read 0123456789secret",
  };
  for (const char* text : kMistakes) {
    const auto file = TokenFile::parse(std::string("# first line\n") + text, "tokens.txt");
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_EQ(file.status().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(file.status().message().find("tokens.txt:"), std::string::npos);
    EXPECT_EQ(file.status().message().find("secret"), std::string::npos) << file.status().message();
  }
  EXPECT_FALSE(TokenFile::parse("# nothing\n", "t").ok());
}

TEST(ServerSecret, IsMadeOnceAndKept) {
  test::TemporaryDirectory directory;
  const auto path = directory.path() / "secret";
  const auto first = loadOrCreateSecret(path);
  ASSERT_TRUE(first.ok()) << first.status().toString();
  EXPECT_EQ(*loadOrCreateSecret(path), *first);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  std::ofstream(path) << "short";
  EXPECT_EQ(loadOrCreateSecret(path).status().code(), ErrorCode::kInvalidArgument);
}

TEST(ServerSecret, NamespacesDifferByTenantAndSecret) {
  ServerSecret one{}, two{};
  two[0] = std::byte{1};
  EXPECT_EQ(namespaceOf(one, "a").secret, namespaceOf(one, "a").secret);
  EXPECT_NE(namespaceOf(one, "a").secret, namespaceOf(one, "b").secret);
  EXPECT_NE(namespaceOf(one, "a").secret, namespaceOf(two, "a").secret);
}

}  // namespace
}  // namespace spolia::service
