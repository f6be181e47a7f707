// From values to coefficients: analyseLossy() of lossy_frame.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "codec/lossy/lossy_frame.h"
#include "codec/lossy/lossy_layout.h"
#include "codec/lossy/transform_rows.h"

namespace spolia::codec {
namespace {

// A value this far from the middle between two steps still goes to the lower one: at low rates a
// zero costs so much less than a one that it is worth the error.
constexpr float kRounding = 0.5f - 0.08f;
constexpr int32_t kLargestShifted = 32767;
// In units of a channel's scale: what lies beyond is cut off, so that sums stay finite.
constexpr float kFarthest = 1e15f;

// A panel's values side by side, where its heads are not.
const std::byte* gatherHeads(const PanelPlace<const std::byte>& place,
                             std::vector<std::byte>& rows) {
  const size_t element = place.element();
  const size_t row = kPanelChannels * element;
  rows.resize(std::max(rows.size(), place.tokens * row));
  place.forEachHead([&](uint32_t done, uint32_t count, const std::byte* from) {
    for (uint32_t t = 0; t < place.tokens; ++t) {
      std::memcpy(rows.data() + t * row + done * element, from + t * place.memory.tokenStride,
                  count * element);
    }
  });
  return rows.data();
}

// The values of tokens [begin, end) less mean and prediction, in units of their channels' scales.
// False when one is not finite.
bool residualOf(const LossyContext& context, const Profile::Block& block, const KvView& kv,
                uint32_t begin, uint32_t end, bool predicted, LossyScratch& scratch) {
  const uint32_t channels = block.data->channels();
  // Whole tiles are projected.
  const size_t size = size_t{end - begin + kTileTokens} * channels;
  if (scratch.residual.size() < size) scratch.residual.resize(size);
  bool finite = true;
  for (const Profile::Panel& panel : block.panels) {
    const uint32_t layer = panel.plane / 2;
    const PanelPlace<const std::byte> place{
        panel, context.profile.data().layers[layer].headDim, end - begin, kv,
        kv.at(layer, static_cast<Plane>(panel.plane % 2), 0, begin)};
    PanelSums sums;
    sums.codes = predicted ? &scratch.codeTiles : nullptr;
    sums.maps = block.mapRows(panel);
    sums.width = panel.width;
    sums.mean = block.data->mean.data() + panel.channel;
    sums.mapScale = block.data->mapScale.data() + panel.channel;
    const bool direct = place.contiguous();
    const std::byte* from = direct ? place.first() : gatherHeads(place, scratch.panel);
    const auto row = static_cast<ptrdiff_t>(kPanelChannels * place.element());
    finite &= residualPanel(sums, block.inverse.data() + panel.channel, kFarthest, place.tokens,
                            kv.type, from, direct ? kv.tokenStride : row,
                            scratch.residual.data() + panel.channel, channels);
  }
  return finite;
}

// How far a block's coefficients spread beyond its classes, in quarter octaves: the mean over the
// groups that are not all but silent.
int8_t spreadOf(const LossyContext& context, const ProfileBlock& block, const float* energy,
                uint32_t tokens) {
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

// Projects the residuals of some tokens and quantises them; adds squares to `energy`.
void quantiseBlock(const Profile::Block& block, uint32_t tokens, float inverseStep, int16_t* to,
                   float* energy, LossyScratch& scratch) {
  const uint32_t channels = block.data->channels();
  const uint32_t count = block.data->componentCount();
  if (count == 0) return;
  scratch.limit.clear();
  for (uint8_t shift : block.data->shifts) {
    scratch.limit.push_back(
        static_cast<float>(std::min(kMaxCoefficient, kLargestShifted >> shift)));
  }
  const size_t row = size_t{count} + kProjectPadding;
  scratch.projected.resize(std::max(scratch.projected.size(), kTileTokens * row));
  for (uint32_t t = 0; t < tokens; t += kTileTokens) {
    project(scratch.residual.data() + size_t{t} * channels, channels, block.analysis(), count,
            scratch.projected.data(), row);
    for (uint32_t i = 0; i < std::min(kTileTokens, tokens - t); ++i, to += count) {
      quantiseSteps(scratch.projected.data() + i * row, inverseStep, kRounding,
                    scratch.limit.data(), count, to, energy);
    }
  }
}

}  // namespace

Status analyseLossy(const LossyContext& context, const LossyPart& part, const KvView& kv,
                    int8_t gain, LossyScratch& scratch) {
  const std::span<const Profile::Block> blocks = blocksOf(context, part);
  if (blocks.empty()) return Status(ErrorCode::kInvalidArgument, "plane group: cuts a block");
  layOutLossy(blocks, part.tokens(), scratch);
  scratch.gain = gain;
  const uint32_t tokens = part.tokens();
  const float inverseStep = 1 / stepOf(context, gain);
  scratch.energy.assign(scratch.values.size() / tokens, 0);
  const auto energyOf = [&](size_t b) { return scratch.energy.data() + scratch.first[b] / tokens; };
  for (uint32_t begin = part.tokenBegin; begin < part.tokenEnd; begin += kBatchTokens) {
    const uint32_t end = std::min(part.tokenEnd, begin + kBatchTokens);
    const bool predicted = prepareCodes(context, begin, end, scratch);
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (!residualOf(context, blocks[b], kv, begin, end, predicted, scratch)) {
        return Status(ErrorCode::kInvalidArgument,
                      "values: an infinity or NaN; expected finite ones");
      }
      int16_t* to = scratch.values.data() + scratch.first[b] +
                    size_t{begin - part.tokenBegin} * blocks[b].data->componentCount();
      quantiseBlock(blocks[b], end - begin, inverseStep, to, energyOf(b), scratch);
    }
  }
  for (size_t b = 0; b < blocks.size(); ++b) {
    scratch.spread[b] = spreadOf(context, *blocks[b].data, energyOf(b), tokens);
  }
  return {};
}

}  // namespace spolia::codec
