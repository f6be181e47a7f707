// From coefficients back to values: restoreLossy() of lossy_frame.h.
#include <algorithm>
#include <array>
#include <cstring>

#include "codec/lossy/lossy_frame.h"
#include "codec/lossy/lossy_layout.h"
#include "codec/values/quant_rows.h"

namespace spolia::codec {
namespace {

// Of what is added to values: its base and its scale. As wide as a panel.
constexpr std::array<float, kPanelChannels> kZeros{};
constexpr std::array<float, kPanelChannels> kOnes = [] {
  std::array<float, kPanelChannels> out;
  out.fill(1);
  return out;
}();

void restoreByHeads(const PanelSums& sums, const PanelPlace<std::byte>& place,
                    std::vector<std::byte>& rows) {
  const size_t element = place.element();
  const size_t row = kPanelChannels * element;
  rows.resize(std::max(rows.size(), place.tokens * row));
  restorePanel(sums, place.tokens, place.memory.type, rows.data(), static_cast<ptrdiff_t>(row));
  place.forEachHead([&](uint32_t done, uint32_t count, std::byte* to) {
    for (uint32_t t = 0; t < place.tokens; ++t) {
      std::memcpy(to + t * place.memory.tokenStride, rows.data() + t * row + done * element,
                  count * element);
    }
  });
}

// What levels add to the values that are there.
void restoreOnto(PanelSums sums, const PanelPlace<std::byte>& place, std::vector<std::byte>& rows) {
  const float* scale = sums.scale;
  sums.codes = nullptr;
  sums.mean = kZeros.data();
  sums.scale = kOnes.data();
  const size_t row = kPanelChannels * sizeof(float);
  rows.resize(std::max(rows.size(), place.tokens * row));
  restorePanel(sums, place.tokens, ElementType::kF32, rows.data(), static_cast<ptrdiff_t>(row));
  const auto* added = reinterpret_cast<const float*>(rows.data());
  place.forEachHead([&](uint32_t done, uint32_t count, std::byte* to) {
    for (uint32_t t = 0; t < place.tokens; ++t) {
      scaleRow(added + size_t{t} * kPanelChannels + done, kZeros.data(), scale + done, count, true,
               place.memory.type, to + t * place.memory.tokenStride);
    }
  });
}

// Tokens [begin, end) of a block, whose coefficients of `begin` are the first of `values`.
void restoreBlock(const LossyContext& context, const Profile::Block& block, const int16_t* values,
                  uint32_t begin, uint32_t end, bool onto, bool predicted, const KvRange& range,
                  const KvTarget& target, LossyScratch& scratch) {
  const auto wanted = [&](const Profile::Panel& panel) {
    return panel.plane / 2 >= range.layerBegin && panel.plane / 2 < range.layerEnd;
  };
  if (std::none_of(block.panels.begin(), block.panels.end(), wanted)) return;
  const ProfileBlock& data = *block.data;
  const uint32_t components = data.componentCount();
  if (components > 0) {
    scratch.coefficientTiles.prepare(values, components, components,
                                     block.powers.empty() ? nullptr : block.powers.data(),
                                     end - begin);
  }
  PanelSums sums;
  sums.codes = predicted ? &scratch.codeTiles : nullptr;
  sums.coefficients = components > 0 ? &scratch.coefficientTiles : nullptr;
  sums.factor = data.componentScale * stepOf(context, scratch.gain);
  for (const Profile::Panel& panel : block.panels) {
    if (!wanted(panel)) continue;
    const uint32_t layer = panel.plane / 2;
    sums.maps = block.mapRows(panel);
    sums.components = block.componentRows(panel);
    sums.width = panel.width;
    sums.mean = data.mean.data() + panel.channel;
    sums.scale = data.scale.data() + panel.channel;
    sums.mapScale = data.mapScale.data() + panel.channel;
    const PanelPlace<std::byte> place{
        panel, context.profile.data().layers[layer].headDim, end - begin, target,
        target.at(layer - range.layerBegin, static_cast<Plane>(panel.plane % 2), 0,
                  begin - range.tokenBegin)};
    if (onto) {
      restoreOnto(sums, place, scratch.panel);
    } else if (place.contiguous()) {
      restorePanel(sums, place.tokens, target.type, place.first(), target.tokenStride);
    } else {
      restoreByHeads(sums, place, scratch.panel);
    }
  }
}

}  // namespace

void restoreLossy(const LossyContext& context, const LossyPart& part, bool onto,
                  const KvRange& range, const KvTarget& target, LossyScratch& scratch) {
  const std::span<const Profile::Block> blocks = blocksOf(context, part);
  const uint32_t last = std::min(part.tokenEnd, range.tokenEnd);
  for (uint32_t begin = std::max(part.tokenBegin, range.tokenBegin); begin < last;) {
    const uint32_t end = std::min(last, begin + kBatchTokens);
    const bool predicted = !onto && prepareCodes(context, begin, end, scratch);
    for (size_t b = 0; b < blocks.size(); ++b) {
      const int16_t* values = scratch.values.data() + scratch.first[b] +
                              size_t{begin - part.tokenBegin} * blocks[b].data->componentCount();
      restoreBlock(context, blocks[b], values, begin, end, onto, predicted, range, target, scratch);
    }
    begin = end;
  }
}

}  // namespace spolia::codec
