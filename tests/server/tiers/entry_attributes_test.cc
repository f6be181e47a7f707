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

EntryAttributes inExtents(EntryAttributes attributes) {
  attributes.extents = Extents{100, 30, 0x123456789abcdef};
  return attributes;
}

store::EntryWorth worthOf(const EntryAttributes& attributes) {
  store::EntryMeta meta;
  meta.kind = static_cast<uint8_t>(codec::EntryKind::kChunk);
  meta.attributes = writeAttributes(attributes);
  return entryWorthOf(meta);
}

TEST(EntryAttributes, AllFormsReadAsTheyWereWritten) {
  for (const EntryAttributes& attributes :
       {plain(), chained(), inExtents(plain()), inExtents(chained())}) {
    const auto read = readAttributes(writeAttributes(attributes));
    ASSERT_TRUE(read.ok()) << read.status().toString();
    EXPECT_EQ(*read, attributes);
  }
}

TEST(EntryAttributes, TheyAreOfTheFirstVersionThatSaysIt) {
  EXPECT_EQ(writeAttributes(plain())[0], std::byte{1});
  EXPECT_EQ(writeAttributes(chained())[0], std::byte{2});
  EXPECT_EQ(writeAttributes(inExtents(chained()))[0], std::byte{3});
}

TEST(EntryAttributes, TruncatedOnesAndLaterVersionsAreErrors) {
  const Bytes whole = writeAttributes(inExtents(chained()));
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto read = readAttributes(ByteSpan(whole).first(length));
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(read.status().code(), ErrorCode::kCorrupt) << length;
  }
  Bytes later = whole;
  later[0] = std::byte{4};
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

TEST(EntryAttributes, SaltsHaveKeysAndTagsOfTheirOwnAndOneOwner) {
  const Namespace whole = embeddedNamespace();
  const Namespace a = saltedNamespace(whole, "a"), b = saltedNamespace(whole, "b");
  const Namespace within = saltedNamespace(a, "b");
  const ChunkId id{};
  const Namespace* all[] = {&whole, &a, &b, &within};
  for (const Namespace* one : all) {
    EXPECT_EQ(ownerTagOf(namespaceTagOf(*one)), ownerTagOf(namespaceTagOf(whole)));
    for (const Namespace* other : all) {
      const bool same = one == other;
      EXPECT_EQ(namespaceTagOf(*one) == namespaceTagOf(*other), same);
      EXPECT_EQ(storeKeyOf(*one, id) == storeKeyOf(*other, id), same);
    }
  }
  EXPECT_EQ(namespaceTagOf(a), namespaceTagOf(saltedNamespace(whole, "a")));
}

// What is named by what it says may come back in an older record; values, and what ends, may not.
TEST(EntryAttributes, OnlyChunksWithoutAnEndAndExtentsHaveValuesThatAreAlike) {
  store::EntryMeta meta;
  const auto alike = [&](codec::EntryKind kind) {
    meta.kind = static_cast<uint8_t>(kind);
    return valuesAlike(meta);
  };
  EXPECT_TRUE(alike(codec::EntryKind::kChunk));
  for (const auto kind :
       {codec::EntryKind::kManifest, codec::EntryKind::kProfile, codec::EntryKind::kOpaque}) {
    EXPECT_FALSE(alike(kind)) << static_cast<int>(kind);
  }
  meta.expiresAt = 1;
  EXPECT_FALSE(alike(codec::EntryKind::kChunk));
  meta.kind = kExtentKind;
  EXPECT_TRUE(valuesAlike(meta));
}

TEST(EntryAttributes, ExtentsThatCannotBeAreErrors) {
  // The whole fits one; nothing in each; too many.
  for (const Extents extents : {Extents{30, 30, 1}, Extents{100, 0, 1}, Extents{1u << 20, 1, 1}}) {
    EntryAttributes attributes = plain();
    attributes.extents = extents;
    EXPECT_EQ(readAttributes(writeAttributes(attributes)).status().code(), ErrorCode::kCorrupt);
  }
}

TEST(EntryAttributes, AnExtentReadsAsItWasWrittenOrIsAnError) {
  const ExtentAttributes extent{{sha256(asBytes("entry"))}, 3, 2, inExtents(plain())};
  const Bytes whole = writeExtentAttributes(extent);
  const auto read = readExtentAttributes(whole);
  ASSERT_TRUE(read.ok()) << read.status().toString();
  EXPECT_EQ(read->entry, extent.entry);
  EXPECT_EQ(read->number, 3u);
  EXPECT_EQ(read->kind, 2);
  EXPECT_EQ(read->value, extent.value);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(readExtentAttributes(ByteSpan(whole).first(length)).ok()) << length;
  }
  for (const uint32_t number : {0u, 4u}) {
    ExtentAttributes wrong = extent;
    wrong.number = number;
    EXPECT_FALSE(readExtentAttributes(writeExtentAttributes(wrong)).ok()) << number;
  }
}

TEST(EntryAttributes, ExtentsShareTheWorthAndTheEntryGoesFirst) {
  const EntryAttributes value = inExtents(chained());
  const StoreKey entry{sha256(asBytes("entry"))};
  store::EntryMeta meta;
  meta.key = entry;
  meta.kind = static_cast<uint8_t>(codec::EntryKind::kChunk);
  meta.attributes = writeAttributes(value);
  const store::EntryWorth head = entryWorthOf(meta);
  double seconds = head.recomputeSeconds;
  std::optional<StoreKey> before = worthOf(chained()).parent;
  for (uint32_t number = 1; number < 4; ++number) {
    store::EntryMeta part;
    part.key = extentKeyOf(entry, *value.extents, number);
    part.kind = kExtentKind;
    part.attributes = writeExtentAttributes({entry, number, meta.kind, value});
    const store::EntryWorth worth = entryWorthOf(part);
    EXPECT_EQ(worth.owner, head.owner);
    EXPECT_EQ(worth.parent, before) << number;
    EXPECT_EQ(worth.depth, 7 + number - 1);
    seconds += worth.recomputeSeconds;
    before = part.key;
  }
  EXPECT_EQ(head.parent, before);
  EXPECT_EQ(head.depth, 10u);
  EXPECT_NEAR(seconds, worthOf(chained()).recomputeSeconds, 1e-9);
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
