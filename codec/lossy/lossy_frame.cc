#include "codec/lossy/lossy_frame.h"

#include <algorithm>

#include "codec/lossy/lossy_layout.h"
#include "codec/lossy/transform_rows.h"

namespace spolia::codec {
namespace {

using Block = Profile::Block;

// Class at a level's own step.
uint32_t classAt(const ProfileBlock& block, uint32_t group, int8_t spread, int8_t gain,
                 uint32_t levelsBelow) {
  return shiftedClass(block.classes[group],
                      spread - gain - kSplitClasses * static_cast<int32_t>(levelsBelow));
}

void makeGroups(std::span<const Block> blocks, uint32_t levelsBelow, LossyScratch& scratch,
                std::vector<int16_t>& values) {
  scratch.groups.clear();
  for (size_t b = 0; b < blocks.size(); ++b) {
    const ProfileBlock& block = *blocks[b].data;
    const uint32_t count = block.componentCount();
    for (uint32_t g = 0; g < count / kPackComponents; ++g) {
      scratch.groups.push_back({values.data() + scratch.first[b] + size_t{g} * kPackComponents,
                                count,
                                classAt(block, g, scratch.spread[b], scratch.gain, levelsBelow)});
    }
  }
}

CoefficientPart partOf(uint8_t level) {
  return level == 0 ? CoefficientPart::kWhole : CoefficientPart::kFine;
}

// One level's numbers, in the groups of the scratch.
void takeLevel(const LossyContext& context, const LossyPart& part, uint8_t level, uint8_t levels,
               LossyScratch& scratch) {
  const uint32_t below = levels - 1u - level;
  const bool whole = below == 0 && level == 0;
  if (!whole) {
    scratch.level.resize(scratch.values.size());
    levelOf(scratch.values.data(), scratch.values.size(), below, level > 0, scratch.level.data());
  }
  makeGroups(blocksOf(context, part), below, scratch, whole ? scratch.values : scratch.level);
}

Status corrupt(std::string what) {
  return Status(ErrorCode::kCorrupt, std::move(what));
}

}  // namespace

std::vector<uint32_t> lossyGroupBounds(const Profile::Transform& transform, size_t layers) {
  const auto planes = static_cast<uint32_t>(2 * layers);
  const uint32_t each = transform.data->planesPerGroup;
  std::vector<uint32_t> out{2 * transform.data->derivedLayers()};
  while (out.back() < planes) {
    out.push_back(each == 0 ? planes : std::min(planes, out.back() + each));
  }
  return out;
}

void writeLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ByteWriter& out) {
  out.u8(static_cast<uint8_t>(scratch.gain));
  for (int8_t s : scratch.spread) out.u8(static_cast<uint8_t>(s));
  takeLevel(context, part, level, levels, scratch);
  writeCoefficients(scratch.groups, part.tokens(), partOf(level), context.transform.tables,
                    scratch.coding, out);
}

void countLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ClassCounts& counts) {
  takeLevel(context, part, level, levels, scratch);
  countCoefficients(scratch.groups, part.tokens(), partOf(level), counts);
}

Status beginLossy(const LossyContext& context, const LossyPart& part, LossyScratch& scratch) {
  const std::span<const Block> blocks = blocksOf(context, part);
  if (blocks.empty()) return corrupt("plane group: does not fit the profile's blocks");
  layOutLossy(blocks, part.tokens(), scratch);
  scratch.levelsRead = 0;
  return {};
}

Status readLossyFrame(ByteReader& in, const LossyContext& context, const LossyPart& part,
                      uint8_t level, uint8_t levels, LossyScratch& scratch) {
  const std::span<const Block> blocks = blocksOf(context, part);
  const auto gain = static_cast<int8_t>(in.u8());
  bool same = scratch.levelsRead == 0 || gain == scratch.gain;
  scratch.gain = gain;
  for (int8_t& s : scratch.spread) {
    const auto spread = static_cast<int8_t>(in.u8());
    same &= scratch.levelsRead == 0 || spread == s;
    s = spread;
  }
  if (!in.ok()) return corrupt("gain: cut off");
  if (!same) return corrupt("gain: not that of the level before");
  // Level 0 sets coefficients, others add.
  if (scratch.levelsRead == 0 && level > 0)
    std::fill(scratch.values.begin(), scratch.values.end(), int16_t{0});
  ++scratch.levelsRead;
  const uint32_t below = levels - 1u - level;
  makeGroups(blocks, below, scratch, scratch.values);
  return readCoefficients(in, scratch.groups, part.tokens(), partOf(level), powerOfSplit(below),
                          context.transform.tables, scratch.coding);
}

}  // namespace spolia::codec
