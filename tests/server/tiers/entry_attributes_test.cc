#include "server/tiers/entry_attributes.h"

#include <gtest/gtest.h>

#include "codec/codec.h"

namespace spolia::tiers {
namespace {

EntryAttributes plain() {
  EntryAttributes out;
  out.ns = namespaceTagOf(embeddedNamespace());
  out.id.bytes[3] = std::byte{7};
  out.contentTag = 99;
  out.headerBytes = 4096;
  out.tokens = 256;
  out.levels = 1;
  out.label = "a label";
  return out;
}

EntryAttributes chained() {
  EntryAttributes out = plain();
  out.chain = ChainPlace{{std::byte{1}, std::byte{2}}, 7, 1792};
  return out;
}

store::EntryWorth worthOf(const EntryAttributes& attributes) {
  store::EntryMeta meta;
  meta.kind = static_cast<uint8_t>(codec::EntryKind::kChunk);
  meta.attributes = writeAttributes(attributes);
  return entryWorthOf(meta);
}

TEST(EntryAttributes, BothFormsReadAsTheyWereWritten) {
  for (const EntryAttributes& attributes : {plain(), chained()}) {
    const auto read = readAttributes(writeAttributes(attributes));
    ASSERT_TRUE(read.ok()) << read.status().toString();
    EXPECT_EQ(*read, attributes);
  }
}

TEST(EntryAttributes, WithoutAPlaceInAChainTheyAreOfTheFirstVersion) {
  EXPECT_EQ(writeAttributes(plain())[0], std::byte{1});
  EXPECT_EQ(writeAttributes(chained())[0], std::byte{2});
}

TEST(EntryAttributes, TruncatedOnesAndLaterVersionsAreErrors) {
  const Bytes whole = writeAttributes(chained());
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto read = readAttributes(ByteSpan(whole).first(length));
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(read.status().code(), ErrorCode::kCorrupt) << length;
  }
  Bytes later = whole;
  later[0] = std::byte{3};
  EXPECT_EQ(readAttributes(later).status().code(), ErrorCode::kUnsupported);
}

TEST(EntryAttributes, EvictionLearnsOwnerAndChain) {
  const store::EntryWorth alone = worthOf(plain()), behind = worthOf(chained());
  EXPECT_EQ(alone.owner, ownerTagOf(plain().ns));
  EXPECT_NE(alone.owner, 0u);
  EXPECT_FALSE(alone.chained || alone.parent);
  EXPECT_TRUE(behind.chained);
  EXPECT_EQ(behind.depth, 7u);
  ASSERT_TRUE(behind.parent);
  EXPECT_EQ(behind.parent->bytes[1], std::byte{2});
  EXPECT_GT(behind.recomputeSeconds, alone.recomputeSeconds) << "it attends to more";
}

TEST(EntryAttributes, AChainIsAsDeepAsWhatIsKnownOfItsParent) {
  EntryAttributes head = plain();
  head.chain = ChainPlace();
  const ChainPlace second = behind({{}, 1, 0}, head);
  EXPECT_EQ(second.depth, 1u);
  EXPECT_EQ(second.tokensBefore, 256u);
  const ChainPlace ninth = behind({{}, 1, 0}, chained());
  EXPECT_EQ(ninth.depth, 8u);
  EXPECT_EQ(ninth.tokensBefore, 1792u + 256u);
}

}  // namespace
}  // namespace spolia::tiers
