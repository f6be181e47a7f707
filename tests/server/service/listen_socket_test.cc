#include "server/service/listen_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace spolia::service {
namespace {

TEST(ListenSocket, AddressesAreReadAndLoopbackIsKnown) {
  EXPECT_TRUE(resolveTcp("127.0.0.1:0")->loopback);
  EXPECT_TRUE(resolveTcp("[::1]:80")->loopback);
  EXPECT_TRUE(resolveTcp("127.9.9.9:80")->loopback);
  EXPECT_FALSE(resolveTcp("0.0.0.0:80")->loopback);
  EXPECT_FALSE(resolveTcp("[::]:80")->loopback);
  for (const char* text : {"", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:http", "127.0.0.1:80x"}) {
    EXPECT_EQ(resolveTcp(text).status().code(), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(ListenSocket, PortInUseIsSaid) {
  const auto first = listenTcp(*resolveTcp("127.0.0.1:0"));
  ASSERT_TRUE(first.ok()) << first.status().toString();
  const auto second = listenTcp(*resolveTcp(first->bound));
  EXPECT_EQ(second.status().code(), ErrorCode::kUnavailable);
  EXPECT_NE(second.status().message().find(first->bound), std::string::npos);
}

TEST(ListenSocket, UnixSocketIsPrivateAndAStaleOneIsReplaced) {
  test::TemporaryDirectory directory;
  const auto path = directory.path() / "s.sock";
  {
    const auto first = listenUnix(path);
    ASSERT_TRUE(first.ok()) << first.status().toString();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_EQ(listenUnix(path).status().code(), ErrorCode::kUnavailable);
  }
  EXPECT_TRUE(listenUnix(path).ok());
}

TEST(ListenSocket, OtherFilesAreLeftAlone) {
  test::TemporaryDirectory directory;
  const auto path = directory.path() / "file";
  std::ofstream(path) << "text";
  EXPECT_EQ(listenUnix(path).status().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(listenUnix("/" + std::string(200, 'a')).status().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace spolia::service
