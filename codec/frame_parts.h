// What encoding and decoding of streams share: which coding the frames of a stream have, and what
// of a stream a frame holds. Any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/codec.h"
#include "codec/lossy/lossy_frame.h"
#include "codec/stream_header.h"

namespace spolia::codec {

// The first byte of a frame: how its planes are coded. As in streams; 2 was never released.
enum class FrameCoding : uint8_t { kBytePlanes = 1, kLearnt = 3, kScaled = 4 };

// Of a preset, by whether the stream has a profile. `lossless` and `high` have none.
FrameCoding codingOf(Preset preset, bool profile);

// What there is of a range in a stream.
KvRange clipped(const StreamHeader& header, const KvRange& range);
// Whether a plane group has planes of the range's layers.
bool groupMeets(const std::vector<PlaneRef>& group, const KvRange& range);
// visit(index) of the frames that cover a range, ascending: level by level, in each the same
// places.
template <typename Visit>
void forEachCovering(const StreamHeader& header, const KvRange& range, Visit visit) {
  const KvRange want = clipped(header, range);
  if (want.tokenBegin >= want.tokenEnd) return;
  const uint32_t firstTokens = want.tokenBegin / header.tokenGroup;
  const uint32_t lastTokens = (want.tokenEnd - 1) / header.tokenGroup;
  const auto groups = static_cast<uint32_t>(header.planeGroups.size());
  for (uint32_t level = 0; level <= want.maxLevel; ++level) {
    for (uint32_t group = 0; group < groups; ++group) {
      if (!groupMeets(header.planeGroups[group], want)) continue;
      const uint32_t first = (level * groups + group) * header.tokenGroups();
      for (uint32_t t = firstTokens; t <= lastTokens; ++t) visit(first + t);
    }
  }
}
// The shapes of a plane group's planes, in its order.
void shapesOf(const StreamHeader& header, uint32_t group, std::vector<LayerShape>& shapes);

// Of a stream with a profile that has a transform for its preset.
LossyContext lossyContext(const StreamHeader& header, const Profile& profile);
// The planes of a group, which are consecutive, and the tokens; kCorrupt when they are not.
Result<LossyPart> lossyPart(const StreamHeader& header, const FramePlace& place);

}  // namespace spolia::codec
