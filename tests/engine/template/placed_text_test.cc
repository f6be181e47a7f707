#include "engine/template/placed_text.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

using jinja::MarkedText;
using jinja::Origin;

TEST(PlacedTextTest, PlacesAreFoundAgainInOrder) {
  MarkedText text("before", Origin::kContent);
  std::vector<size_t> wanted;
  for (size_t place = 0; place < kMostPlaces; place += place < 200 ? 1 : 97) {
    appendPlace(text, place);
    wanted.push_back(place);
  }
  text.append("behind");
  const std::vector<PlacedPart> parts = partsOf(text);
  ASSERT_EQ(parts.size(), wanted.size() + 2);
  EXPECT_EQ(parts.front().text.bytes(), "before");
  EXPECT_EQ(parts.front().text.originOfAll(), Origin::kContent);
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(parts[i + 1].place, wanted[i]);
  EXPECT_EQ(parts.back().text.bytes(), "behind");
  EXPECT_TRUE(hasPlace(text, 199));
  EXPECT_FALSE(hasPlace(text, 201));
  EXPECT_TRUE(partsOf({}).empty());
}

TEST(PlacedTextTest, WhatAMessageSpellsIsNoPlace) {
  MarkedText mark;
  appendPlace(mark, 1);
  const MarkedText spelled(mark.bytes(), Origin::kContent);
  EXPECT_FALSE(hasPlace(spelled, 1));
  EXPECT_EQ(filled(spelled, {}), mark.bytes());
  // Nor is a part of a mark.
  EXPECT_TRUE(partsOf(mark.slice(0, 2)).empty());
}

TEST(PlacedTextTest, PlacesAreFilled) {
  MarkedText text;
  appendPlace(text, 2);
  text.append(" and ");
  appendPlace(text, 1);
  appendPlace(text, 2);
  const std::vector<std::string> texts = {"one", "two"};
  EXPECT_EQ(filled(text, texts), "two and onetwo");
}

TEST(PlacedTextTest, DocumentsStandOnce) {
  MarkedText text("a");
  appendPlace(text, kDocumentsPlace);
  text.append("b");
  appendPlace(text, kDocumentsPlace);
  text.append("c");
  const std::vector<PlacedPart> parts = partsOf(text);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[2].text.bytes(), "bc");
}

}  // namespace
}  // namespace spolia::engine
