#include "codec/codec.h"

#include <algorithm>

#include "codec/base/checksum.h"
#include "codec/byte_planes.h"
#include "codec/channel_quant.h"
#include "codec/lossy/lossy_frame.h"
#include "codec/stream_header.h"

namespace spolia::codec {
namespace {

// The first byte of a frame: how its planes are coded. As in streams.
constexpr uint8_t kCodingBytePlanes = 1;
constexpr uint8_t kCodingChannelQuant = 2;
constexpr uint8_t kCodingLearnt = 3;

bool isLossy(Preset preset) {
  return preset == Preset::kBalanced || preset == Preset::kSmall;
}

Status invalid(std::string what) {
  return Status(ErrorCode::kInvalidArgument, std::move(what));
}

Status checkShapes(std::span<const LayerShape> layers) {
  if (layers.empty() || layers.size() > kMaxLayers) {
    return invalid("layers: expected 1 to " + std::to_string(kMaxLayers));
  }
  for (const LayerShape& shape : layers) {
    const uint64_t channels = uint64_t{shape.kvHeads} * shape.headDim;
    if (channels == 0 || channels > kMaxChannels) {
      return invalid("layer shape: expected 1 to " + std::to_string(kMaxChannels) + " channels");
    }
  }
  return {};
}

Status checkRequest(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                    const EncodeOptions& options) {
  if (identity.rows() == 0 || identity.rows() > kMaxChunkTokens) {
    return invalid("rows of the chunk: expected 1 to " + std::to_string(kMaxChunkTokens));
  }
  SPOLIA_RETURN_IF_ERROR(checkShapes(layers));
  if (options.tokenGroup == 0 || options.tokenGroup > kMaxChunkTokens) {
    return invalid("tokenGroup: expected 1 to " + std::to_string(kMaxChunkTokens));
  }
  if (options.kForm == KForm::kPreRope && options.firstPosition != 0) {
    return invalid("firstPosition: only rotated keys have one");
  }
  return {};
}

Status checkProfile(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                    const EncodeOptions& options) {
  const std::string preset(presetName(options.preset));
  if (options.profile == nullptr) {
    return Status(ErrorCode::kUnsupported, "preset " + preset + ": needs a profile");
  }
  const ProfileData& data = options.profile->data();
  if (data.fingerprint != identity.fingerprint ||
      !std::equal(layers.begin(), layers.end(), data.layers.begin(), data.layers.end())) {
    return invalid("profile: of another model");
  }
  if (options.profile->transform(static_cast<uint8_t>(options.preset)) == nullptr) {
    return invalid("profile: made without the preset " + preset);
  }
  if (options.kForm != KForm::kPreRope) return invalid("profile: only for keys before RoPE");
  if (options.levels == 0 || options.levels > kMaxLossyLevels) {
    return invalid("levels: expected 1 to " + std::to_string(kMaxLossyLevels));
  }
  return {};
}

// All but the frames' sizes and checksums. One plane group per layer: a reader that takes layers
// one after another then reads one frame per token group.
StreamHeader draftHeader(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                         ElementType type, const EncodeOptions& options) {
  StreamHeader header;
  header.version = kStreamVersion;
  header.chunkId = chunkIdOf(identity);
  header.identity = identity;
  header.elementType = type;
  header.kForm = options.kForm;
  header.firstPosition = options.firstPosition;
  header.preset = options.preset;
  header.tokenGroup = options.tokenGroup;
  header.layers.assign(layers.begin(), layers.end());
  std::vector<uint32_t> bounds;
  if (isLossy(options.preset)) {
    const auto* transform = options.profile->transform(static_cast<uint8_t>(options.preset));
    bounds = lossyGroupBounds(*transform, layers.size());
    header.profile = options.profile->id();
    header.levels = options.levels;
  } else {
    for (uint32_t layer = 0; layer <= layers.size(); ++layer) bounds.push_back(2 * layer);
  }
  for (size_t g = 0; g + 1 < bounds.size(); ++g) {
    auto& group = header.planeGroups.emplace_back();
    for (uint32_t p = bounds[g]; p < bounds[g + 1]; ++p) {
      group.push_back({p / 2, static_cast<Plane>(p % 2)});
    }
  }
  header.frames.resize(header.levels * header.planeGroups.size() * header.tokenGroups());
  return header;
}

// ---- learnt transforms

LossyContext lossyContext(const StreamHeader& header, const Profile& profile) {
  return {profile, *profile.transform(static_cast<uint8_t>(header.preset)), header.identity.tokens};
}

// The planes of a group, which are consecutive, and the tokens; kCorrupt when they are not.
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

// Every frame's bytes, in the order of the table: a part is analysed once for all its levels.
Result<std::vector<Bytes>> lossyFrames(const StreamHeader& header, const KvView& kv,
                                       const EncodeOptions& options) {
  const LossyContext context = lossyContext(header, *options.profile);
  std::vector<Bytes> frames(header.frames.size());
  const size_t parts = frames.size() / header.levels;
  LossyScratch scratch;
  for (uint32_t i = 0; i < parts; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const LossyPart part, lossyPart(header, placeOf(header, i)));
    SPOLIA_RETURN_IF_ERROR(analyseLossy(context, part, kv, options.gain, scratch));
    for (uint8_t level = 0; level < header.levels; ++level) {
      ByteWriter out;
      out.zeros(sizeof kCodingLearnt);
      out.patch(0, kCodingLearnt);
      writeLossyFrame(context, part, level, header.levels, scratch, out);
      frames[level * parts + i] = out.take();
    }
  }
  return frames;
}

// What a stream needs to be decoded by learnt transforms.
Status checkLossyHeader(const StreamHeader& header, const Profile* profile) {
  if (header.profile.isZero() || header.levels > kMaxLossyLevels) {
    return Status(ErrorCode::kUnsupported, "preset without a profile, or with so many levels");
  }
  if (profile == nullptr || profile->id() != header.profile) {
    return Status(ErrorCode::kNotFound, "profile " + header.profile.hex() + ": not at hand");
  }
  if (profile->data().layers != header.layers ||
      profile->transform(static_cast<uint8_t>(header.preset)) == nullptr) {
    return Status(ErrorCode::kCorrupt, "profile: not for streams of this shape and preset");
  }
  return {};
}

Status readLossy(const StreamHeader& header, const FrameBytes& frame, const LossyContext& context,
                 const LossyPart& part, LossyScratch& scratch) {
  ByteReader in(frame.bytes);
  const uint8_t coding = in.u8();
  if (!in.ok()) return Status(ErrorCode::kCorrupt, "empty");
  if (coding != kCodingLearnt) {
    return Status(ErrorCode::kUnsupported, "coding " + std::to_string(coding));
  }
  const auto level = static_cast<uint8_t>(placeOf(header, frame.index).level);
  SPOLIA_RETURN_IF_ERROR(readLossyFrame(in, context, part, level, header.levels, scratch));
  if (!in.finished()) return Status(ErrorCode::kCorrupt, "bytes left over");
  return {};
}

Status appendFrame(const StreamHeader& header, const FramePlace& place, const KvView& kv,
                   ByteWriter& out) {
  const uint32_t tokens = place.tokenEnd - place.tokenBegin;
  const bool lossless = header.preset == Preset::kLossless;
  out.u8(lossless ? kCodingBytePlanes : kCodingChannelQuant);
  for (const PlaneRef& ref : header.planeGroups[place.group]) {
    const LayerShape shape = header.layers[ref.layer];
    const PlaneRows<const std::byte> rows{kv.at(ref.layer, ref.plane, 0, place.tokenBegin),
                                          kv.headStride, kv.tokenStride, kv.type};
    if (lossless) {
      writeBytePlanes(rows, shape, tokens, out);
    } else {
      SPOLIA_RETURN_IF_ERROR(writeChannelQuant(rows, shape, tokens, out)
                                 .withContext("layer " + std::to_string(ref.layer) +
                                              (ref.plane == Plane::kK ? " K" : " V")));
    }
  }
  return {};
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

Status decodePlanes(const StreamHeader& header, const FramePlace& place, ByteReader& in,
                    const KvRange& range, const KvTarget& target) {
  if (in.remaining() == 0) return Status(ErrorCode::kCorrupt, "empty");
  const uint8_t coding = in.u8();
  const bool lossless = header.preset == Preset::kLossless;
  if (header.preset > Preset::kHigh || header.levels != 1 || !header.profile.isZero()) {
    return Status(ErrorCode::kUnsupported, "preset, levels or profile not known to this build");
  }
  if (coding != (lossless ? kCodingBytePlanes : kCodingChannelQuant)) {
    return Status(ErrorCode::kUnsupported, "coding " + std::to_string(coding));
  }
  for (const PlaneRef& ref : header.planeGroups[place.group]) {
    const LayerShape shape = header.layers[ref.layer];
    if (ref.layer < range.layerBegin || ref.layer >= range.layerEnd) {
      SPOLIA_RETURN_IF_ERROR(lossless ? skipBytePlanes(in, header.elementType, shape)
                                      : skipChannelQuant(in, shape));
      continue;
    }
    const PlaneWrite to = planeWrite(header, place, ref, range, target);
    SPOLIA_RETURN_IF_ERROR(lossless ? readBytePlanes(in, header.elementType, to)
                                    : readChannelQuant(in, to));
  }
  if (!in.finished()) return Status(ErrorCode::kCorrupt, "bytes left over");
  return {};
}

// One part's frames, of consecutive levels; `range` is clipped and meets the part.
Status decodeLossy(const StreamHeader& header, std::span<const FrameBytes> frames,
                   const KvRange& range, const KvTarget& target, const Profile* profile) {
  SPOLIA_RETURN_IF_ERROR(checkLossyHeader(header, profile));
  const LossyContext context = lossyContext(header, *profile);
  const FramePlace place = placeOf(header, frames.front().index);
  SPOLIA_ASSIGN_OR_RETURN(const LossyPart part, lossyPart(header, place));
  // Kept by the thread: in steady state nothing is allocated.
  thread_local LossyScratch scratch;
  SPOLIA_RETURN_IF_ERROR(beginLossy(context, part, scratch));
  for (const FrameBytes& frame : frames) {
    SPOLIA_RETURN_IF_ERROR(readLossy(header, frame, context, part, scratch));
  }
  restoreLossy(context, part, place.level > 0, range, target, scratch);
  return {};
}

}  // namespace

std::string_view presetName(Preset preset) {
  switch (preset) {
    case Preset::kLossless:
      return "lossless";
    case Preset::kHigh:
      return "high";
    case Preset::kBalanced:
      return "balanced";
    case Preset::kSmall:
      return "small";
  }
  return "unknown";
}

Result<Preset> presetFromName(std::string_view name) {
  for (Preset p : {Preset::kLossless, Preset::kHigh, Preset::kBalanced, Preset::kSmall}) {
    if (name == presetName(p)) return p;
  }
  return invalid("preset \"" + std::string(name) +
                 "\": expected lossless, high, balanced or small");
}

Result<Bytes> encodeStream(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                           const KvView& kv, const EncodeOptions& options) {
  SPOLIA_RETURN_IF_ERROR(checkRequest(identity, layers, options));
  const bool lossy = isLossy(options.preset);
  if (lossy) SPOLIA_RETURN_IF_ERROR(checkProfile(identity, layers, options));
  StreamHeader header = draftHeader(identity, layers, kv.type, options);
  // A header's length does not depend on what the frames turn out to be: they follow its place.
  SPOLIA_ASSIGN_OR_RETURN(const Bytes draft, writeHeader(header));
  std::vector<Bytes> frames;
  if (lossy) {
    SPOLIA_ASSIGN_OR_RETURN(frames, lossyFrames(header, kv, options));
  }
  ByteWriter out;
  out.zeros(draft.size());
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    const size_t begin = out.size();
    if (lossy) {
      out.bytes(frames[i]);
    } else {
      SPOLIA_RETURN_IF_ERROR(appendFrame(header, placeOf(header, i), kv, out));
    }
    const ByteSpan frame = out.view().subspan(begin);
    if (frame.size() > UINT32_MAX) return invalid("tokenGroup: a frame exceeds 4 GiB");
    header.frames[i].size = static_cast<uint32_t>(frame.size());
    header.frames[i].checksum = xxh3(frame, partSeed(header.chunkId, i));
  }
  SPOLIA_ASSIGN_OR_RETURN(const Bytes head, writeHeader(header));
  SPOLIA_CHECK(head.size() == draft.size());
  Bytes stream = out.take();
  std::copy(head.begin(), head.end(), stream.begin());
  return stream;
}

Result<StreamHeader> verifyStream(ByteSpan stream) {
  SPOLIA_ASSIGN_OR_RETURN(StreamHeader header, parseHeader(stream));
  if (stream.size() != header.streamBytes) {
    return Status(ErrorCode::kCorrupt, "stream: " + std::to_string(stream.size()) +
                                           " bytes, expected " +
                                           std::to_string(header.streamBytes));
  }
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    const ByteSpan bytes = stream.subspan(header.frames[i].offset, header.frames[i].size);
    SPOLIA_RETURN_IF_ERROR(verifyFrame(header, {i, bytes}));
  }
  for (size_t i = 0; i < header.sideSections.size(); ++i) {
    const SideSection& section = header.sideSections[i];
    const ByteSpan bytes = stream.subspan(section.offset, section.size);
    if (xxh3(bytes, partSeed(header.chunkId, kSideSectionPart + i)) != section.checksum) {
      return Status(ErrorCode::kCorrupt,
                    "side section " + std::to_string(i) + ": checksum does not hold");
    }
  }
  return header;
}

std::vector<uint32_t> coveringFrames(const StreamHeader& header, const KvRange& range) {
  const KvRange want = clipped(header, range);
  std::vector<uint32_t> out;
  if (want.tokenBegin >= want.tokenEnd) return out;
  const uint32_t firstTokens = want.tokenBegin / header.tokenGroup;
  const uint32_t lastTokens = (want.tokenEnd - 1) / header.tokenGroup;
  const auto groups = static_cast<uint32_t>(header.planeGroups.size());
  for (uint32_t level = 0; level <= want.maxLevel; ++level) {
    for (uint32_t group = 0; group < groups; ++group) {
      if (!groupMeets(header.planeGroups[group], want)) continue;
      const uint32_t first = (level * groups + group) * header.tokenGroups();
      for (uint32_t t = firstTokens; t <= lastTokens; ++t) out.push_back(first + t);
    }
  }
  return out;
}

Status verifyFrame(const StreamHeader& header, const FrameBytes& frame) {
  if (frame.index >= header.frames.size()) {
    return Status(ErrorCode::kCorrupt, "frame " + std::to_string(frame.index) +
                                           ": the stream has " +
                                           std::to_string(header.frames.size()));
  }
  const FrameEntry& entry = header.frames[frame.index];
  if (frame.bytes.size() != entry.size ||
      xxh3(frame.bytes, partSeed(header.chunkId, frame.index)) != entry.checksum) {
    return Status(ErrorCode::kCorrupt,
                  "frame " + std::to_string(frame.index) + ": length or checksum does not hold");
  }
  return {};
}

Status decodeFrame(const StreamHeader& header, const FrameBytes& frame, const KvRange& range,
                   const KvTarget& target, const Profile* profile) {
  SPOLIA_RETURN_IF_ERROR(verifyFrame(header, frame));
  const KvRange want = clipped(header, range);
  const FramePlace place = placeOf(header, frame.index);
  const bool meets = place.level <= want.maxLevel && want.tokenBegin < place.tokenEnd &&
                     place.tokenBegin < want.tokenEnd && want.tokenBegin < want.tokenEnd &&
                     groupMeets(header.planeGroups[place.group], want);
  if (!meets) return {};
  ByteReader in(frame.bytes);
  const Status status = isLossy(header.preset)
                            ? decodeLossy(header, std::span(&frame, 1), want, target, profile)
                            : decodePlanes(header, place, in, want, target);
  return status.withContext("frame " + std::to_string(frame.index));
}

Status decodeStream(ByteSpan stream, const StreamHeader& header, const KvRange& range,
                    const KvTarget& target, const Profile* profile) {
  const std::vector<uint32_t> covering = coveringFrames(header, range);
  std::vector<FrameBytes> frames;
  for (uint32_t index : covering) {
    const FrameEntry& entry = header.frames[index];
    if (entry.offset > stream.size() || entry.size > stream.size() - entry.offset) {
      return Status(ErrorCode::kCorrupt, "frame " + std::to_string(index) + ": stream is cut off");
    }
    frames.push_back({index, stream.subspan(entry.offset, entry.size)});
  }
  if (!isLossy(header.preset)) {
    for (const FrameBytes& frame : frames) {
      SPOLIA_RETURN_IF_ERROR(decodeFrame(header, frame, range, target));
    }
    return {};
  }
  // Level-major order: the levels of a part are equally far apart.
  const KvRange want = clipped(header, range);
  const size_t levels = size_t{want.maxLevel} + 1;
  const size_t parts = frames.size() / levels;
  for (size_t i = 0; i < parts; ++i) {
    std::vector<FrameBytes> part;
    for (size_t level = 0; level < levels; ++level) {
      part.push_back(frames[level * parts + i]);
      SPOLIA_RETURN_IF_ERROR(verifyFrame(header, part.back()));
    }
    SPOLIA_RETURN_IF_ERROR(decodeLossy(header, part, want, target, profile)
                               .withContext("frame " + std::to_string(part.front().index)));
  }
  return {};
}

}  // namespace spolia::codec
