// Both sides of the integer products of learnt transforms, in the forms that vectors want: matrices
// of small integers, in panels, and what they are multiplied with, in tiles of tokens. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace spolia::codec {

// Tokens of a tile.
inline constexpr uint32_t kTileTokens = 4;
// Rows of a matrix stand side by side by this many.
inline constexpr uint32_t kQuad = 4;
// Channels of a panel at most: what a tile's sums are kept in registers for.
inline constexpr uint32_t kPanelChannels = 64;

// A matrix's columns from some channel on, its rows in quads: [quad][channel][4], so that one
// channel's factors lie in 32 bits. Each with 128 added, rows 1 and 2 of a quad in each other's
// place (see tile_sums-inl.h). Vectors read up to 64 bytes behind the last quad.
struct PanelRows {
  const uint8_t* rows = nullptr;
  uint32_t quads = 0;
};

// Aligned as the widest vectors want it.
struct alignas(64) RowBytes {
  uint8_t bytes[64];
};
struct alignas(64) RowFloats {
  float floats[16];
};

// Panels of the given widths one behind the other, of int8 rows [row][channel]; a row that lacks to
// whole quads is zeros. A panel begins at its first channel * 4 * quads.
std::vector<RowBytes> panelsOf(std::span<const int8_t> rows, uint32_t channels,
                               std::span<const uint32_t> widths);

// What matrices are multiplied with, of some tokens, in the form that the target wants. Which quads
// are zero in a whole tile is found once, for all panels. Reused: in steady state nothing is
// allocated.
class FactorTiles {
 public:
  // Of `tokens` tokens, `count` 16-bit factors (a multiple of kQuad) at values + token * stride,
  // each times its power of two of at most 256 and kept within -32767 to 32767; without powers as
  // they are.
  void prepare(const int16_t* values, size_t stride, uint32_t count, const int16_t* powers,
               uint32_t tokens);

  // Of one tile: what sums start at, since rows have 128 added; and the quads that are not zero, by
  // part: of the low bytes, the high ones, and of what those cannot hold. Targets that multiply
  // 16 bits have one part.
  struct Tile {
    std::array<int32_t, kTileTokens> start;
    std::array<uint16_t, 3> listed;
  };
  const Tile& tile(size_t i) const { return tiles_[i]; }
  const uint16_t* quads(size_t tile, size_t part) const {
    return quads_.data() + (tile * kParts + part) * listStride_;
  }
  const uint8_t* factors(size_t tile, size_t part) const {
    return factors_.data() + (part * tiles_.size() + tile) * kTileTokens * stride_;
  }
  // Bytes from one token's factors to the next.
  size_t stride() const { return stride_; }

  // For the code of a target.
  Tile& tile(size_t i) { return tiles_[i]; }
  uint16_t* quads(size_t tile, size_t part) {
    return quads_.data() + (tile * kParts + part) * listStride_;
  }
  uint8_t* factors(size_t tile, size_t part) {
    return factors_.data() + (part * tiles_.size() + tile) * kTileTokens * stride_;
  }

 private:
  static constexpr size_t kParts = 3;

  std::vector<Tile> tiles_;
  std::vector<uint16_t> quads_;   // [tile][part][listStride_]
  std::vector<uint8_t> factors_;  // [part][tile][token][stride_]
  size_t listStride_ = 0;
  size_t stride_ = 0;
};

}  // namespace spolia::codec
