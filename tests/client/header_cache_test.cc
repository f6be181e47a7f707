#include "client/header_cache.h"

#include <gtest/gtest.h>

namespace spolia::client {
namespace {

ChunkId idOf(int number) {
  ChunkId id;
  id.bytes[0] = static_cast<std::byte>(number);
  return id;
}

TEST(HeaderCache, TheLeastRecentlyUsedGoes) {
  HeaderCache cache(2);
  const auto header = std::make_shared<const codec::StreamHeader>();
  cache.put(idOf(1), header);
  cache.put(idOf(2), header);
  EXPECT_NE(cache.find(idOf(1)), nullptr);
  cache.put(idOf(3), header);
  EXPECT_EQ(cache.find(idOf(2)), nullptr);
  EXPECT_NE(cache.find(idOf(1)), nullptr);
  cache.erase(idOf(1));
  EXPECT_EQ(cache.find(idOf(1)), nullptr);
  cache.put(idOf(3), nullptr);
  EXPECT_EQ(cache.find(idOf(3)), nullptr);
}

}  // namespace
}  // namespace spolia::client
