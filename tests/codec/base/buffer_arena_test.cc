#include "codec/base/buffer_arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace spolia {
namespace {

constexpr size_t kHuge = BufferArena::kHugePage;
constexpr size_t kPage = BufferArena::kPage;

TEST(BufferArena, PiecesAreWholeAndApartUnderRandomLoad) {
  BufferArena arena(8 * kHuge, kHuge);
  ASSERT_EQ(reinterpret_cast<uintptr_t>(arena.memory().data()) % kHuge, 0u);
  std::mt19937_64 random(3);
  struct Piece {
    std::byte* memory;
    size_t bytes;
    int value;
  };
  std::vector<Piece> pieces;
  size_t used = 0;
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    if (random() % 2 == 0) {
      const size_t bytes = (1 + random() % 400) * kPage;
      std::byte* const memory = arena.take(bytes);
      if (memory == nullptr) {
        ++refused;
        continue;
      }
      std::memset(memory, round % 251, bytes);
      pieces.push_back({memory, bytes, round % 251});
      used += bytes;
    } else if (!pieces.empty()) {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      const Piece piece = pieces.back();
      pieces.pop_back();
      const auto value = static_cast<std::byte>(piece.value);
      ASSERT_TRUE(std::all_of(piece.memory, piece.memory + piece.bytes,
                              [&](std::byte b) { return b == value; }));
      ASSERT_TRUE(arena.give(piece.memory, piece.bytes));
      used -= piece.bytes;
    }
    ASSERT_LE(used, arena.touched());
  }
  EXPECT_GT(refused, 0);
  for (const Piece& piece : pieces) arena.give(piece.memory, piece.bytes);
  EXPECT_LE(arena.touched(), kHuge);
  EXPECT_NE(arena.take(8 * kHuge), nullptr) << "what was given back is one piece again";
}

TEST(BufferArena, GivesBackAllButWhatItKeepsOrHolds) {
  BufferArena arena(8 * kHuge, 2 * kHuge);
  std::byte* const all = arena.take(8 * kHuge);
  EXPECT_EQ(arena.take(kPage), nullptr);
  std::memset(all, 1, 8 * kHuge);
  arena.give(all, 8 * kHuge);
  EXPECT_EQ(arena.touched(), 2 * kHuge);
  std::byte* const again = arena.take(8 * kHuge);
  EXPECT_EQ(again[0], std::byte{1});
  EXPECT_EQ(again[4 * kHuge], std::byte{0}) << "was not given back";
  std::memset(again, 2, 8 * kHuge);
  arena.hold(5 * kHuge);
  arena.give(again, 8 * kHuge);
  EXPECT_EQ(arena.touched(), 5 * kHuge);
  EXPECT_EQ(arena.take(8 * kHuge)[5 * kHuge - 1], std::byte{2});
}

TEST(BufferArena, OtherMemoryIsNotItsOwn) {
  BufferArena arena(kHuge, 0);
  std::vector<std::byte> other(kPage);
  EXPECT_FALSE(arena.give(other.data(), other.size()));
  BufferArena none(0, 0);
  EXPECT_EQ(none.take(kPage), nullptr);
  EXPECT_FALSE(none.give(other.data(), other.size()));
}

}  // namespace
}  // namespace spolia
