#include "engine/linker/chunk_loader.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

// A header of `groups` over `layers` layers, one token group, frames of 100 bytes.
codec::StreamHeader headerOf(uint32_t layers, std::vector<std::vector<codec::PlaneRef>> groups) {
  codec::StreamHeader header;
  header.identity.tokens.assign(32, 1);
  header.tokenGroup = 32;
  header.layers.assign(layers, {2, 8});
  header.planeGroups = std::move(groups);
  header.frames.assign(header.planeGroups.size(), {0, 100, 0});
  return header;
}

std::vector<codec::PlaneRef> both(uint32_t first, uint32_t last) {
  std::vector<codec::PlaneRef> out;
  for (uint32_t layer = first; layer <= last; ++layer) {
    out.push_back({layer, codec::Plane::kK});
    out.push_back({layer, codec::Plane::kV});
  }
  return out;
}

const LoadedRows kRows{1, 1, 0, 32};

TEST(FetchSpans, CutBetweenPlaneGroups) {
  const auto header = headerOf(5, {both(0, 1), both(2, 3), both(4, 4)});
  EXPECT_EQ(fetchSpans(header, kRows, 1), (std::vector<LayerSpan>{{0, 2}, {2, 4}, {4, 5}}));
}

TEST(FetchSpans, SmallSpansAreJoined) {
  const auto header = headerOf(5, {both(0, 0), both(1, 1), both(2, 2), both(3, 3), both(4, 4)});
  EXPECT_EQ(fetchSpans(header, kRows, 200), (std::vector<LayerSpan>{{0, 2}, {2, 4}, {4, 5}}));
  EXPECT_EQ(fetchSpans(header, kRows, 100000), (std::vector<LayerSpan>{{0, 5}}));
}

TEST(FetchSpans, GroupsAcrossLayersAreNotCut) {
  const auto header = headerOf(4, {{{0, codec::Plane::kK}, {2, codec::Plane::kK}},
                                   {{0, codec::Plane::kV}},
                                   both(1, 1),
                                   {{2, codec::Plane::kV}},
                                   both(3, 3)});
  EXPECT_EQ(fetchSpans(header, kRows, 1), (std::vector<LayerSpan>{{0, 3}, {3, 4}}));
}

}  // namespace
}  // namespace spolia::engine
