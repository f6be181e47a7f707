#include "codec/lossy/lossy_frame.h"

#include <algorithm>
#include <cmath>

#include "codec/values/quant_rows.h"

namespace spolia::codec {
namespace {

// A value this far from the middle between two steps still goes to the lower one: at low rates a
// zero costs so much less than a one that it is worth the error.
constexpr float kRounding = 0.5f - 0.08f;
constexpr int32_t kLargestShifted = 32767;
// In units of a channel's scale: what lies beyond is cut off, so that sums stay finite.
constexpr float kFarthest = 1e15f;

using Block = Profile::Block;

// The blocks of a part.
std::span<const Block> blocksOf(const LossyContext& context, const LossyPart& part) {
  const auto& layers = context.profile.data().layers;
  uint32_t begin = 0;
  uint32_t end = 0;
  for (uint32_t plane = 0; plane < part.planeEnd; ++plane) {
    if (plane < part.planeBegin) begin += layers[plane / 2].channels();
    end += layers[plane / 2].channels();
  }
  const auto& blocks = context.transform.blocks;
  const auto first = std::find_if(blocks.begin(), blocks.end(),
                                  [&](const Block& b) { return b.data->begin >= begin; });
  const auto last =
      std::find_if(first, blocks.end(), [&](const Block& b) { return b.data->end > end; });
  const bool whole = first != last && first->data->begin == begin && (last - 1)->data->end == end;
  return whole ? std::span<const Block>(first, last) : std::span<const Block>();
}

// One plane's channels within a block, and where they stand.
struct Segment {
  uint32_t plane;
  uint32_t head;     // the first
  uint32_t channel;  // of the block
  uint32_t count;    // channels
  uint32_t headDim;
};

// The segments of a block, in order.
template <typename Visit>
void forEachSegment(const LossyContext& context, const ProfileBlock& block, Visit visit) {
  const auto& layers = context.profile.data().layers;
  uint32_t begin = 0;
  for (uint32_t plane = 0; begin < block.end; ++plane) {
    const LayerShape shape = layers[plane / 2];
    const uint32_t end = begin + shape.channels();
    const uint32_t from = std::max(begin, block.begin);
    const uint32_t to = std::min(end, block.end);
    if (from < to) {
      visit(Segment{plane, (from - begin) / shape.headDim, from - block.begin, to - from,
                    shape.headDim});
    }
    begin = end;
  }
}

size_t roundedUp(size_t n, size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

size_t codeStride(const LossyContext& context) {
  const ProfileTransform& transform = *context.transform.data;
  return roundedUp(size_t{transform.ownCodes} + transform.codesBefore, 2);
}

// What maps are multiplied with, of all tokens of a part and, as zeros, of the rest of a tile
// behind them: [token][codeStride]. The token before the first of a chunk has no code.
void layOutCodes(const LossyContext& context, const LossyPart& part, LossyScratch& scratch) {
  const ProfileTransform& transform = *context.transform.data;
  const size_t stride = codeStride(context);
  scratch.codes.assign((part.tokens() + kTileTokens) * stride, 0);
  for (uint32_t t = part.tokenBegin; t < part.tokenEnd && !context.tokens.empty(); ++t) {
    int16_t* to = scratch.codes.data() + (t - part.tokenBegin) * stride;
    context.profile.codeOf(context.tokens[t], transform.ownCodes, to);
    if (t == 0) continue;
    context.profile.codeOf(context.tokens[t - 1], transform.codesBefore, to + transform.ownCodes);
  }
}

float stepOf(const LossyContext& context, int8_t gain) {
  return context.transform.data->step * std::exp2(static_cast<float>(gain) / kClassesPerOctave);
}

// Class at a level's own step.
uint32_t classAt(const ProfileBlock& block, uint32_t group, int8_t spread, int8_t gain,
                 uint32_t levelsBelow) {
  return shiftedClass(block.classes[group],
                      spread - gain - kSplitClasses * static_cast<int32_t>(levelsBelow));
}

int32_t powerOfSplit(uint32_t n) {
  return n == 0 ? 1 : n == 1 ? kLevelSplit : kLevelSplit * kLevelSplit;
}

void layOut(std::span<const Block> blocks, uint32_t tokens, LossyScratch& scratch) {
  scratch.first.clear();
  size_t size = 0;
  for (const Block& block : blocks) {
    scratch.first.push_back(size);
    size += size_t{block.data->componentCount()} * tokens;
  }
  scratch.values.assign(size, 0);
  scratch.spread.assign(blocks.size(), 0);
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

// ---- encoding

// A tile's values less mean and prediction, in units of their channels' scales. False when one is
// not finite.
bool residualTile(const LossyContext& context, const LossyPart& part, const Block& block,
                  const KvView& kv, uint32_t token, uint32_t count, LossyScratch& scratch) {
  const ProfileBlock& data = *block.data;
  const uint32_t channels = data.channels();
  const size_t stride = codeStride(context);
  scratch.tile.assign(size_t{kTileTokens} * channels, 0);
  addProducts(scratch.codes.data() + (token - part.tokenBegin) * stride, stride, block.mapRows(), 0,
              channels, data.mapScale.data(), -1, scratch.tile.data(), channels);
  scratch.rows.resize(channels);
  bool finite = true;
  for (uint32_t t = 0; t < count; ++t) {
    forEachSegment(context, data, [&](const Segment& s) {
      for (uint32_t done = 0, head = s.head; done < s.count; done += s.headDim, ++head) {
        widenRow(kv.at(s.plane / 2, static_cast<Plane>(s.plane % 2), head, token + t), kv.type,
                 s.headDim, scratch.rows.data() + s.channel + done);
      }
    });
    finite &= addResidual(scratch.rows.data(), data.mean.data(), block.inverse.data(), kFarthest,
                          channels, scratch.tile.data() + size_t{t} * channels);
  }
  return finite;
}

// How far a block's coefficients spread beyond its classes, in quarter octaves: the mean over the
// groups that are not all but silent.
int8_t spreadOf(const LossyContext& context, const ProfileBlock& block,
                const std::vector<float>& energy, uint32_t tokens) {
  double sum = 0;
  double weight = 0;
  for (uint32_t g = 0; g < block.classes.size(); ++g) {
    double square = 0;
    for (uint32_t i = 0; i < kPackComponents; ++i) {
      square += double{energy[size_t{g} * kPackComponents + i]};
    }
    const double spread =
        std::sqrt(square / (double{kPackComponents} * tokens)) / context.transform.data->step;
    const double expected =
        std::exp2((double{1} * block.classes[g] - kUnitClass) / kClassesPerOctave);
    if (std::max(spread, expected) < 0.25) continue;
    sum +=
        std::clamp(kClassesPerOctave * std::log2(std::max(spread, 1e-6) / expected), -16.0, 32.0);
    weight += 1;
  }
  return weight == 0 ? int8_t{0} : static_cast<int8_t>(std::lround(sum / weight));
}

bool analyseBlock(const LossyContext& context, const LossyPart& part, const KvView& kv, size_t b,
                  const Block& block, LossyScratch& scratch) {
  const ProfileBlock& data = *block.data;
  const uint32_t count = data.componentCount();
  const float steps = 1 / stepOf(context, scratch.gain);
  std::vector<float> projected(size_t{kTileTokens} * count);
  std::vector<float> energy(count);
  std::vector<float> limit;
  for (uint8_t shift : data.shifts) {
    limit.push_back(static_cast<float>(std::min(kMaxCoefficient, kLargestShifted >> shift)));
  }
  int16_t* to = scratch.values.data() + scratch.first[b];
  for (uint32_t t = part.tokenBegin; t < part.tokenEnd; t += kTileTokens) {
    const uint32_t tokens = std::min(kTileTokens, part.tokenEnd - t);
    if (!residualTile(context, part, block, kv, t, tokens, scratch)) return false;
    project(scratch.tile.data(), data.channels(), block.analysis().data(), count, projected.data(),
            count);
    for (uint32_t i = 0; i < tokens; ++i, to += count) {
      quantiseSteps(projected.data() + size_t{i} * count, steps, kRounding, limit.data(), count, to,
                    energy.data());
    }
  }
  scratch.spread[b] = spreadOf(context, data, energy, part.tokens());
  return true;
}

// ---- decoding

// One tile of one block to the target.
void restoreTile(const LossyContext& context, const LossyPart& part, const Block& block, size_t b,
                 uint32_t token, uint32_t count, bool onto, const KvRange& range,
                 const KvTarget& target, LossyScratch& scratch) {
  const ProfileBlock& data = *block.data;
  const uint32_t components = data.componentCount();
  scratch.shifted.assign(size_t{kTileTokens} * components, 0);
  for (uint32_t t = 0; t < count; ++t) {
    shiftRow(
        scratch.values.data() + scratch.first[b] + size_t{token - part.tokenBegin + t} * components,
        data.shifts.data(), components, scratch.shifted.data() + size_t{t} * components);
  }
  const float factor = data.componentScale * stepOf(context, scratch.gain);
  const size_t stride = codeStride(context);
  forEachSegment(context, data, [&](const Segment& s) {
    const uint32_t layer = s.plane / 2;
    if (layer < range.layerBegin || layer >= range.layerEnd) return;
    scratch.tile.assign(size_t{kTileTokens} * s.count, 0);
    if (!onto) {
      addProducts(scratch.codes.data() + (token - part.tokenBegin) * stride, stride,
                  block.mapRows(), s.channel, s.count, data.mapScale.data() + s.channel, 1,
                  scratch.tile.data(), s.count);
    }
    addProducts(scratch.shifted.data(), components, block.componentRows(), s.channel, s.count,
                block.ones.data() + s.channel, factor, scratch.tile.data(), s.count);
    for (uint32_t t = 0; t < count; ++t) {
      const float* from = scratch.tile.data() + size_t{t} * s.count;
      for (uint32_t done = 0, head = s.head; done < s.count; done += s.headDim, ++head) {
        const uint32_t c = s.channel + done;
        scaleRow(from + done, onto ? scratch.rows.data() : data.mean.data() + c,
                 data.scale.data() + c, s.headDim, onto, target.type,
                 target.at(layer - range.layerBegin, static_cast<Plane>(s.plane % 2), head,
                           token + t - range.tokenBegin));
      }
    }
  });
}

Status corrupt(std::string what) {
  return Status(ErrorCode::kCorrupt, std::move(what));
}

}  // namespace

std::vector<uint32_t> lossyGroupBounds(const Profile::Transform& transform, size_t layers) {
  const auto planes = static_cast<uint32_t>(2 * layers);
  const uint32_t each = transform.data->planesPerGroup;
  std::vector<uint32_t> out{0};
  while (out.back() < planes) {
    out.push_back(each == 0 ? planes : std::min(planes, out.back() + each));
  }
  return out;
}

Status analyseLossy(const LossyContext& context, const LossyPart& part, const KvView& kv,
                    int8_t gain, LossyScratch& scratch) {
  const std::span<const Block> blocks = blocksOf(context, part);
  if (blocks.empty()) return Status(ErrorCode::kInvalidArgument, "plane group: cuts a block");
  layOut(blocks, part.tokens(), scratch);
  layOutCodes(context, part, scratch);
  scratch.gain = gain;
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (!analyseBlock(context, part, kv, b, blocks[b], scratch)) {
      return Status(ErrorCode::kInvalidArgument,
                    "values: an infinity or NaN; expected finite ones");
    }
  }
  return {};
}

namespace {

// One level's numbers, in the groups of the scratch.
void takeLevel(const LossyContext& context, const LossyPart& part, uint8_t level, uint8_t levels,
               LossyScratch& scratch, std::vector<int16_t>& values) {
  const uint32_t below = levels - 1u - level;
  values = scratch.values;
  for (uint32_t i = 0; i < below; ++i) thirds(values.data(), values.size(), values.data());
  if (level > 0) {
    std::vector<int16_t> above(values.size());
    thirds(values.data(), values.size(), above.data());
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<int16_t>(values[i] - kLevelSplit * above[i]);
    }
  }
  makeGroups(blocksOf(context, part), below, scratch, values);
}

CoefficientPart partOf(uint8_t level) {
  return level == 0 ? CoefficientPart::kWhole : CoefficientPart::kFine;
}

}  // namespace

void writeLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ByteWriter& out) {
  out.u8(static_cast<uint8_t>(scratch.gain));
  for (int8_t s : scratch.spread) out.u8(static_cast<uint8_t>(s));
  std::vector<int16_t> values;
  takeLevel(context, part, level, levels, scratch, values);
  writeCoefficients(scratch.groups, part.tokens(), partOf(level), context.transform.tables, out);
}

void countLossyFrame(const LossyContext& context, const LossyPart& part, uint8_t level,
                     uint8_t levels, LossyScratch& scratch, ClassCounts& counts) {
  std::vector<int16_t> values;
  takeLevel(context, part, level, levels, scratch, values);
  countCoefficients(scratch.groups, part.tokens(), partOf(level), counts);
}

Status beginLossy(const LossyContext& context, const LossyPart& part, LossyScratch& scratch) {
  const std::span<const Block> blocks = blocksOf(context, part);
  if (blocks.empty()) return corrupt("plane group: does not fit the profile's blocks");
  layOut(blocks, part.tokens(), scratch);
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
  ++scratch.levelsRead;
  const uint32_t below = levels - 1u - level;
  makeGroups(blocks, below, scratch, scratch.values);
  return readCoefficients(in, scratch.groups, part.tokens(), partOf(level),
                          static_cast<int16_t>(powerOfSplit(below)), context.transform.tables,
                          scratch.coding);
}

void restoreLossy(const LossyContext& context, const LossyPart& part, bool onto,
                  const KvRange& range, const KvTarget& target, LossyScratch& scratch) {
  const std::span<const Block> blocks = blocksOf(context, part);
  const uint32_t begin = std::max(part.tokenBegin, range.tokenBegin);
  const uint32_t end = std::min(part.tokenEnd, range.tokenEnd);
  uint32_t widest = 0;
  for (const LayerShape& shape : context.profile.data().layers) {
    widest = std::max(widest, shape.headDim);
  }
  scratch.rows.assign(widest, 0);  // the base of what is added
  if (!onto) layOutCodes(context, part, scratch);
  for (uint32_t t = begin; t < end; t += kTileTokens) {
    const uint32_t count = std::min(kTileTokens, end - t);
    for (size_t b = 0; b < blocks.size(); ++b) {
      restoreTile(context, part, blocks[b], b, t, count, onto, range, target, scratch);
    }
  }
}

}  // namespace spolia::codec
