#include <algorithm>

#include "codec/byte_planes.h"
#include "codec/codec.h"
#include "codec/frame_parts.h"
#include "codec/scaled/scaled_frame.h"
#include "codec/stream_header.h"

namespace spolia::codec {

struct DecodeScratch::State {
  LossyScratch learnt;
  ScaledScratch scaled;
  std::vector<LayerShape> shapes;
  std::vector<FrameBytes> frames, part;
};

namespace {

using Decoding = DecodeScratch::State;

Status unsupported(std::string what) {
  return Status(ErrorCode::kUnsupported, std::move(what));
}

// `range` is clipped and meets the frame's tokens.
PlaneWrite planeWrite(const StreamHeader& header, const FramePlace& place, const PlaneRef& ref,
                      const KvRange& range, const KvTarget& target) {
  const uint32_t begin = std::max(range.tokenBegin, place.tokenBegin);
  const uint32_t end = std::min(range.tokenEnd, place.tokenEnd);
  PlaneWrite to;
  to.shape = header.layers[ref.layer];
  to.frameTokens = place.tokenEnd - place.tokenBegin;
  to.begin = begin - place.tokenBegin;
  to.end = end - place.tokenBegin;
  to.rows = {target.at(ref.layer - range.layerBegin, ref.plane, 0, begin - range.tokenBegin),
             target.headStride, target.tokenStride, target.type};
  return to;
}

// Passes over a frame's first byte.
Status readCoding(ByteReader& in, FrameCoding expected) {
  const uint8_t coding = in.u8();
  if (!in.ok()) return Status(ErrorCode::kCorrupt, "empty");
  if (coding != static_cast<uint8_t>(expected)) {
    return unsupported("coding " + std::to_string(coding));
  }
  return {};
}

Status decodeBytePlanes(const StreamHeader& header, const FrameBytes& frame, const KvRange& range,
                        const KvTarget& target) {
  if (header.levels != 1 || !header.profile.isZero()) {
    return unsupported("preset lossless with levels or a profile");
  }
  ByteReader in(frame.bytes);
  SPOLIA_RETURN_IF_ERROR(readCoding(in, FrameCoding::kBytePlanes));
  const FramePlace place = placeOf(header, frame.index);
  for (const PlaneRef& ref : header.planeGroups[place.group]) {
    if (ref.layer < range.layerBegin || ref.layer >= range.layerEnd) {
      SPOLIA_RETURN_IF_ERROR(skipBytePlanes(in, header.elementType, header.layers[ref.layer]));
      continue;
    }
    SPOLIA_RETURN_IF_ERROR(
        readBytePlanes(in, header.elementType, planeWrite(header, place, ref, range, target)));
  }
  if (!in.finished()) return Status(ErrorCode::kCorrupt, "bytes left over");
  return {};
}

// What a stream needs to be decoded by learnt transforms.
Status checkLearnt(const StreamHeader& header, const Profile* profile) {
  if (header.levels > kMaxLossyLevels) return unsupported("so many levels");
  if (profile == nullptr || profile->id() != header.profile) {
    return Status(ErrorCode::kNotFound, "profile " + header.profile.hex() + ": not at hand");
  }
  if (profile->data().layers != header.layers ||
      profile->transform(static_cast<uint8_t>(header.preset)) == nullptr) {
    return Status(ErrorCode::kCorrupt, "profile: not for streams of this shape and preset");
  }
  return {};
}

uint8_t levelOf(const StreamHeader& header, const FrameBytes& frame) {
  return static_cast<uint8_t>(placeOf(header, frame.index).level);
}

// One part's frames, of consecutive levels; `range` is clipped and meets the part.
Status decodeLearnt(const StreamHeader& header, std::span<const FrameBytes> frames,
                    const KvRange& range, const KvTarget& target, const Profile* profile,
                    Decoding& state) {
  SPOLIA_RETURN_IF_ERROR(checkLearnt(header, profile));
  const LossyContext context = lossyContext(header, *profile);
  const FramePlace place = placeOf(header, frames.front().index);
  SPOLIA_ASSIGN_OR_RETURN(const LossyPart part, lossyPart(header, place));
  SPOLIA_RETURN_IF_ERROR(beginLossy(context, part, state.learnt));
  for (const FrameBytes& frame : frames) {
    ByteReader in(frame.bytes);
    SPOLIA_RETURN_IF_ERROR(readCoding(in, FrameCoding::kLearnt));
    SPOLIA_RETURN_IF_ERROR(
        readLossyFrame(in, context, part, levelOf(header, frame), header.levels, state.learnt));
    if (!in.finished()) return Status(ErrorCode::kCorrupt, "bytes left over");
  }
  restoreLossy(context, part, place.level > 0, range, target, state.learnt);
  return {};
}

// The same of scaled channels.
Status decodeScaled(const StreamHeader& header, std::span<const FrameBytes> frames,
                    const KvRange& range, const KvTarget& target, Decoding& state) {
  if (header.levels > kMaxScaledLevels || !header.profile.isZero()) {
    return unsupported("so many levels, or a profile for a preset that has none");
  }
  const FramePlace place = placeOf(header, frames.front().index);
  shapesOf(header, place.group, state.shapes);
  for (const FrameBytes& frame : frames) {
    ByteReader in(frame.bytes);
    SPOLIA_RETURN_IF_ERROR(readCoding(in, FrameCoding::kScaled));
    if (in.remaining() < leastScaledBytes(state.shapes)) {
      return Status(ErrorCode::kCorrupt, "steps: cut off");
    }
    if (&frame == &frames.front()) {
      layOut(state.shapes, place.tokenEnd - place.tokenBegin, state.scaled);
    }
    SPOLIA_RETURN_IF_ERROR(
        readScaledFrame(in, levelOf(header, frame), header.levels, state.scaled));
    if (!in.finished()) return Status(ErrorCode::kCorrupt, "bytes left over");
  }
  const std::vector<PlaneRef>& group = header.planeGroups[place.group];
  for (size_t p = 0; p < group.size(); ++p) {
    if (group[p].layer < range.layerBegin || group[p].layer >= range.layerEnd) continue;
    restoreScaled(state.scaled, p, place.level > 0,
                  planeWrite(header, place, group[p], range, target));
  }
  return {};
}

// One part's frames, whose checksums hold.
Status decodePart(const StreamHeader& header, std::span<const FrameBytes> frames,
                  const KvRange& range, const KvTarget& target, const Profile* profile,
                  Decoding& state) {
  const auto decoded = [&] {
    switch (codingOf(header.preset, !header.profile.isZero())) {
      case FrameCoding::kBytePlanes:
        return decodeBytePlanes(header, frames.front(), range, target);
      case FrameCoding::kLearnt:
        return decodeLearnt(header, frames, range, target, profile, state);
      case FrameCoding::kScaled:
        break;
    }
    return decodeScaled(header, frames, range, target, state);
  };
  const Status status = decoded();
  return status.ok() ? status : status.withContext("frame " + std::to_string(frames.front().index));
}

}  // namespace

DecodeScratch::DecodeScratch() : state_(std::make_unique<Decoding>()) {}
DecodeScratch::~DecodeScratch() = default;

Status decodeFrame(const StreamHeader& header, const FrameBytes& frame, const KvRange& range,
                   const KvTarget& target, const Profile* profile, DecodeScratch* scratch) {
  SPOLIA_RETURN_IF_ERROR(verifyFrame(header, frame));
  const KvRange want = clipped(header, range);
  const FramePlace place = placeOf(header, frame.index);
  const bool meets = place.level <= want.maxLevel && want.tokenBegin < place.tokenEnd &&
                     place.tokenBegin < want.tokenEnd && want.tokenBegin < want.tokenEnd &&
                     groupMeets(header.planeGroups[place.group], want);
  if (!meets) return {};
  if (scratch != nullptr) {
    return decodePart(header, std::span(&frame, 1), want, target, profile, scratch->state());
  }
  DecodeScratch own;
  return decodePart(header, std::span(&frame, 1), want, target, profile, own.state());
}

Status decodeFrames(const StreamHeader& header, std::span<const FrameBytes> frames,
                    const KvRange& range, const KvTarget& target, const Profile* profile,
                    DecodeScratch* scratch) {
  if (scratch == nullptr) {
    DecodeScratch own;
    return decodeFrames(header, frames, range, target, profile, &own);
  }
  size_t covering = 0;
  bool right = true;
  forEachCovering(header, range, [&](uint32_t index) {
    right &= covering < frames.size() && frames[covering].index == index;
    ++covering;
  });
  if (!right || covering != frames.size()) {
    return Status(ErrorCode::kInvalidArgument, "frames: not those that cover the range");
  }
  // Level-major order: the levels of a part are equally far apart.
  const KvRange want = clipped(header, range);
  const size_t levels =
      codingOf(header.preset, !header.profile.isZero()) == FrameCoding::kBytePlanes
          ? 1
          : size_t{want.maxLevel} + 1;
  const size_t parts = frames.size() / levels;
  Decoding& state = scratch->state();
  for (size_t i = 0; i < parts; ++i) {
    state.part.clear();
    for (size_t level = 0; level < levels; ++level) {
      state.part.push_back(frames[level * parts + i]);
      SPOLIA_RETURN_IF_ERROR(verifyFrame(header, state.part.back()));
    }
    SPOLIA_RETURN_IF_ERROR(decodePart(header, state.part, want, target, profile, state));
  }
  return {};
}

Status decodeStream(ByteSpan stream, const StreamHeader& header, const KvRange& range,
                    const KvTarget& target, const Profile* profile, DecodeScratch* scratch) {
  if (scratch == nullptr) {
    DecodeScratch own;
    return decodeStream(stream, header, range, target, profile, &own);
  }
  std::vector<FrameBytes>& frames = scratch->state().frames;
  frames.clear();
  forEachCovering(header, range, [&](uint32_t index) { frames.push_back({index, {}}); });
  for (FrameBytes& frame : frames) {
    const FrameEntry& entry = header.frames[frame.index];
    if (entry.offset > stream.size() || entry.size > stream.size() - entry.offset) {
      return Status(ErrorCode::kCorrupt,
                    "frame " + std::to_string(frame.index) + ": stream is cut off");
    }
    frame.bytes = stream.subspan(entry.offset, entry.size);
  }
  return decodeFrames(header, frames, range, target, profile, scratch);
}

}  // namespace spolia::codec
