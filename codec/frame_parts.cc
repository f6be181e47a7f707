#include "codec/frame_parts.h"

#include <algorithm>

namespace spolia::codec {

FrameCoding codingOf(Preset preset, bool profile) {
  if (preset == Preset::kLossless) return FrameCoding::kBytePlanes;
  return profile && preset != Preset::kHigh ? FrameCoding::kLearnt : FrameCoding::kScaled;
}

KvRange clipped(const StreamHeader& header, const KvRange& range) {
  KvRange out = range;
  out.layerEnd = std::min<uint32_t>(range.layerEnd, static_cast<uint32_t>(header.layers.size()));
  out.tokenEnd = std::min(range.tokenEnd, header.tokens());
  out.maxLevel = std::min<uint8_t>(range.maxLevel, header.levels - 1);
  return out;
}

bool groupMeets(const std::vector<PlaneRef>& group, const KvRange& range) {
  return std::any_of(group.begin(), group.end(), [&](const PlaneRef& ref) {
    return ref.layer >= range.layerBegin && ref.layer < range.layerEnd;
  });
}

void shapesOf(const StreamHeader& header, uint32_t group, std::vector<LayerShape>& shapes) {
  shapes.clear();
  for (const PlaneRef& ref : header.planeGroups[group]) shapes.push_back(header.layers[ref.layer]);
}

LossyContext lossyContext(const StreamHeader& header, const Profile& profile) {
  return {profile, *profile.transform(static_cast<uint8_t>(header.preset)), header.identity.tokens};
}

Result<LossyPart> lossyPart(const StreamHeader& header, const FramePlace& place) {
  const std::vector<PlaneRef>& group = header.planeGroups[place.group];
  const auto number = [](const PlaneRef& ref) {
    return 2 * ref.layer + static_cast<uint32_t>(ref.plane);
  };
  for (size_t i = 1; i < group.size(); ++i) {
    if (number(group[i]) != number(group[i - 1]) + 1) {
      return Status(ErrorCode::kCorrupt, "plane group: not consecutive");
    }
  }
  return LossyPart{number(group.front()), number(group.back()) + 1, place.tokenBegin,
                   place.tokenEnd};
}

}  // namespace spolia::codec
