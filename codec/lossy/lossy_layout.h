// What the two directions of learnt transforms share: the blocks of a part, and the codes of its
// tokens. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "codec/lossy/lossy_frame.h"

namespace spolia::codec {

// Tokens that are worked on at a time: their scratch stays within a cache, whatever the frame.
inline constexpr uint32_t kBatchTokens = 256;

// The blocks of a part; none when its planes cut one.
std::span<const Profile::Block> blocksOf(const LossyContext& context, const LossyPart& part);

// Room for a part's coefficients, which may be anything, and no spread.
void layOutLossy(std::span<const Profile::Block> blocks, uint32_t tokens, LossyScratch& scratch);

// The step at a gain.
float stepOf(const LossyContext& context, int8_t gain);

// Puts what maps are multiplied with into scratch.codeTiles, of tokens [begin, end). False when
// there is nothing to predict from.
bool prepareCodes(const LossyContext& context, uint32_t begin, uint32_t end, LossyScratch& scratch);

// Some tokens of a panel in somebody's memory.
template <typename Byte>
struct PanelPlace {
  const Profile::Panel& panel;
  uint32_t headDim;
  uint32_t tokens;
  const BasicKvMemory<Byte>& memory;
  Byte* plane;  // head 0, first token

  size_t element() const { return elementSize(memory.type); }
  // The first value.
  Byte* first() const { return at(panel.channelOfPlane); }
  // Whether the channels follow each other in memory.
  bool contiguous() const {
    return panel.channelOfPlane % headDim + panel.width <= headDim ||
           memory.headStride == static_cast<ptrdiff_t>(headDim * element());
  }
  // Calls visit(offset in the panel, channels, first token's address) for each head's part.
  template <typename Visit>
  void forEachHead(Visit visit) const {
    for (uint32_t done = 0; done < panel.width;) {
      const uint32_t channel = panel.channelOfPlane + done;
      const uint32_t count = std::min(panel.width - done, headDim - channel % headDim);
      visit(done, count, at(channel));
      done += count;
    }
  }

 private:
  Byte* at(uint32_t channel) const {
    return plane + channel / headDim * memory.headStride +
           static_cast<ptrdiff_t>(channel % headDim * element());
  }
};

}  // namespace spolia::codec
