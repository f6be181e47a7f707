#include "codec/lossy/lossy_layout.h"

#include <algorithm>
#include <cmath>

namespace spolia::codec {

std::span<const Profile::Block> blocksOf(const LossyContext& context, const LossyPart& part) {
  const auto& layers = context.profile.data().layers;
  uint32_t begin = 0;
  uint32_t end = 0;
  for (uint32_t plane = 0; plane < part.planeEnd; ++plane) {
    if (plane < part.planeBegin) begin += layers[plane / 2].channels();
    end += layers[plane / 2].channels();
  }
  const auto& blocks = context.transform.blocks;
  const auto beginsBefore = [](const Profile::Block& b, uint32_t at) { return b.data->begin < at; };
  const auto first = std::lower_bound(blocks.begin(), blocks.end(), begin, beginsBefore);
  const auto last = std::lower_bound(first, blocks.end(), end, beginsBefore);
  const bool whole = first != last && first->data->begin == begin && (last - 1)->data->end == end;
  return whole ? std::span<const Profile::Block>(first, last) : std::span<const Profile::Block>();
}

void layOutLossy(std::span<const Profile::Block> blocks, uint32_t tokens, LossyScratch& scratch) {
  scratch.first.clear();
  size_t size = 0;
  for (const Profile::Block& block : blocks) {
    scratch.first.push_back(size);
    size += size_t{block.data->componentCount()} * tokens;
  }
  scratch.values.resize(size);
  scratch.spread.assign(blocks.size(), 0);
}

float stepOf(const LossyContext& context, int8_t gain) {
  return context.transform.data->step * std::exp2(static_cast<float>(gain) / kClassesPerOctave);
}

bool prepareCodes(const LossyContext& context, uint32_t begin, uint32_t end,
                  LossyScratch& scratch) {
  const ProfileTransform& transform = *context.transform.data;
  const uint32_t own = transform.ownCodes;
  const uint32_t before = transform.codesBefore;
  const uint32_t count = (own + before + kQuad - 1) / kQuad * kQuad;
  if (count == 0 || context.tokens.empty()) return false;
  scratch.codes.assign(size_t{count} * (end - begin), 0);
  int16_t* to = scratch.codes.data();
  for (uint32_t t = begin; t < end; ++t, to += count) {
    context.profile.codeOf(context.tokens[t], own, to);
    if (t == 0) continue;  // no code before a chunk's first token
    if (t > begin && before <= own) {
      std::copy_n(to - count, before, to + own);
    } else {
      context.profile.codeOf(context.tokens[t - 1], before, to + own);
    }
  }
  scratch.codeTiles.prepare(scratch.codes.data(), count, count, nullptr, end - begin);
  return true;
}

}  // namespace spolia::codec
