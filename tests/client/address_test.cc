#include "client/address.h"

#include <gtest/gtest.h>

namespace spolia::client {
namespace {

TEST(ServerAddress, FormsAreReadAndWrittenBack) {
  EXPECT_EQ(parseAddress("spolia://host")->text(), "spolia://host:7433");
  EXPECT_EQ(parseAddress("spolia://host:12/")->text(), "spolia://host:12");
  EXPECT_EQ(parseAddress("spolia://[::1]:12")->host, "::1");
  EXPECT_EQ(parseAddress("spolia://[::1]:12")->text(), "spolia://[::1]:12");
  EXPECT_EQ(parseAddress("spolia+unix:///a/b")->path, "/a/b");
  EXPECT_EQ(parseAddress("unix:/a/b")->text(), "spolia+unix:///a/b");
}

TEST(ServerAddress, OthersAreRefusedNamingTheForms) {
  for (const char* text :
       {"", "host:12", "http://host", "spolia://", "spolia://:12",
        "spolia://host:", "spolia://host:0", "spolia://host:65536", "spolia://host:1x",
        "spolia://[::1", "unix:relative", "spolia+unix://x"}) {
    const auto address = parseAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.status().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(address.status().message().find("spolia://HOST:PORT"), std::string::npos);
  }
}

}  // namespace
}  // namespace spolia::client
