#include <algorithm>
#include <cmath>

#include "codec/base/checksum.h"
#include "codec/byte_planes.h"
#include "codec/codec.h"
#include "codec/frame_parts.h"
#include "codec/scaled/scale_choice.h"
#include "codec/scaled/scaled_frame.h"
#include "codec/stream_header.h"

namespace spolia::codec {

struct EncodeScratch::State {
  LossyScratch learnt;
  ScaledScratch scaled;
  ScaleScratch choosing;
  LevelScratch writing;
  std::vector<LayerShape> shapes;
};

namespace {

using Encoding = EncodeScratch::State;

static_assert(kMaxLossyLevels == kMaxScaledLevels);

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
  if (options.levels == 0 || options.levels > kMaxLossyLevels) {
    return invalid("levels: expected 1 to " + std::to_string(kMaxLossyLevels));
  }
  return {};
}

Status checkProfile(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                    const EncodeOptions& options) {
  const std::string preset(presetName(options.preset));
  const ProfileData& data = options.profile->data();
  if (data.fingerprint != identity.fingerprint ||
      !std::equal(layers.begin(), layers.end(), data.layers.begin(), data.layers.end())) {
    return invalid("profile: of another model");
  }
  const auto* transform = options.profile->transform(static_cast<uint8_t>(options.preset));
  if (transform == nullptr) return invalid("profile: made without the preset " + preset);
  if (transform->data->derivedLayers() > 0 && identity.modality != Modality::kText) {
    return invalid(
        "profile: leaves out the first layer, which follows from the tokens of text only");
  }
  if (options.kForm != KForm::kPreRope) return invalid("profile: only for keys before RoPE");
  return {};
}

// All but the frames' sizes and checksums. One plane group per layer: a reader that takes layers
// one after another then reads one frame per token group.
StreamHeader draftHeader(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                         ElementType type, FrameCoding coding, const EncodeOptions& options) {
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
  if (coding != FrameCoding::kBytePlanes) header.levels = options.levels;
  if (coding == FrameCoding::kLearnt) {
    const auto* transform = options.profile->transform(static_cast<uint8_t>(options.preset));
    bounds = lossyGroupBounds(*transform, layers.size());
    header.profile = options.profile->id();
    header.derivedLayers = transform->data->derivedLayers();
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

// The planes of a frame, whose first token is row 0.
PlaneRows<const std::byte> rowsOf(const KvView& kv, const PlaneRef& ref, const FramePlace& place) {
  return {kv.at(ref.layer, ref.plane, 0, place.tokenBegin), kv.headStride, kv.tokenStride, kv.type};
}

ByteWriter beginFrame(FrameCoding coding) {
  ByteWriter out;
  out.zeros(sizeof coding);
  out.patch(0, coding);
  return out;
}

Bytes bytePlanesFrame(const StreamHeader& header, const FramePlace& place, const KvView& kv) {
  ByteWriter out = beginFrame(FrameCoding::kBytePlanes);
  for (const PlaneRef& ref : header.planeGroups[place.group]) {
    writeBytePlanes(rowsOf(kv, ref, place), header.layers[ref.layer],
                    place.tokenEnd - place.tokenBegin, out);
  }
  return out.take();
}

std::vector<Bytes> bytePlanesFrames(const StreamHeader& header, const KvView& kv) {
  std::vector<Bytes> frames;
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    frames.push_back(bytePlanesFrame(header, placeOf(header, i), kv));
  }
  return frames;
}

Result<std::vector<Bytes>> learntFrames(const StreamHeader& header, const KvView& kv,
                                        const EncodeOptions& options, Encoding& state) {
  const LossyContext context = lossyContext(header, *options.profile);
  std::vector<Bytes> frames(header.frames.size());
  const size_t parts = frames.size() / header.levels;
  LossyScratch& scratch = state.learnt;
  for (uint32_t i = 0; i < parts; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const LossyPart part, lossyPart(header, placeOf(header, i)));
    SPOLIA_RETURN_IF_ERROR(analyseLossy(context, part, kv, options.gain, scratch));
    for (uint8_t level = 0; level < header.levels; ++level) {
      ByteWriter out = beginFrame(FrameCoding::kLearnt);
      writeLossyFrame(context, part, level, header.levels, scratch, out);
      frames[level * parts + i] = out.take();
    }
  }
  return frames;
}

// The finest step of scaled channels, by a head's spread: as far as a preset goes.
double kappaOf(Preset preset, int8_t gain) {
  const double kappa = preset == Preset::kHigh ? 0.18 : preset == Preset::kBalanced ? 0.4 : 0.55;
  return kappa * std::exp2(double{1} * gain / kClassesPerOctave);
}

Result<std::vector<Bytes>> scaledFrames(const StreamHeader& header, const KvView& kv,
                                        const EncodeOptions& options, Encoding& state) {
  const double kappa = kappaOf(options.preset, options.gain);
  std::vector<Bytes> frames(header.frames.size());
  const size_t parts = frames.size() / header.levels;
  auto& [learnt, scratch, choosing, writing, shapes] = state;
  for (uint32_t i = 0; i < parts; ++i) {
    const FramePlace place = placeOf(header, i);
    const std::vector<PlaneRef>& group = header.planeGroups[place.group];
    shapesOf(header, place.group, shapes);
    layOut(shapes, place.tokenEnd - place.tokenBegin, scratch);
    for (size_t p = 0; p < group.size(); ++p) {
      SPOLIA_RETURN_IF_ERROR(analyseScaled(rowsOf(kv, group[p], place), kappa, p, choosing, scratch)
                                 .withContext("layer " + std::to_string(group[p].layer) +
                                              (group[p].plane == Plane::kK ? " K" : " V")));
    }
    takeLattices(scratch, header.levels, writing);
    for (uint8_t level = 0; level < header.levels; ++level) {
      ByteWriter out = beginFrame(FrameCoding::kScaled);
      writeScaledFrame(level, header.levels, scratch, writing, out);
      frames[level * parts + i] = out.take();
    }
  }
  return frames;
}

// Every frame's bytes, in the order of the table: a part is analysed once for all its levels.
Result<std::vector<Bytes>> framesOf(const StreamHeader& header, FrameCoding coding,
                                    const KvView& kv, const EncodeOptions& options,
                                    Encoding& state) {
  switch (coding) {
    case FrameCoding::kBytePlanes:
      return bytePlanesFrames(header, kv);
    case FrameCoding::kLearnt:
      return learntFrames(header, kv, options, state);
    case FrameCoding::kScaled:
      break;
  }
  return scaledFrames(header, kv, options, state);
}

}  // namespace

EncodeScratch::EncodeScratch() : state_(std::make_unique<Encoding>()) {}
EncodeScratch::~EncodeScratch() = default;

Result<Bytes> encodeStream(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                           const KvView& kv, const EncodeOptions& options, EncodeScratch* scratch) {
  if (scratch == nullptr) {
    EncodeScratch own;
    return encodeStream(identity, layers, kv, options, &own);
  }
  SPOLIA_RETURN_IF_ERROR(checkRequest(identity, layers, options));
  const FrameCoding coding = codingOf(options.preset, options.profile != nullptr);
  if (coding == FrameCoding::kLearnt) {
    SPOLIA_RETURN_IF_ERROR(checkProfile(identity, layers, options));
  }
  StreamHeader header = draftHeader(identity, layers, kv.type, coding, options);
  // Before the work: a table of too many frames is refused. A header's length does not depend on
  // what the frames turn out to be.
  SPOLIA_ASSIGN_OR_RETURN(const Bytes draft, writeHeader(header));
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<Bytes> frames,
                          framesOf(header, coding, kv, options, scratch->state()));
  size_t size = draft.size();
  for (uint32_t i = 0; i < frames.size(); ++i) {
    if (frames[i].size() > UINT32_MAX) return invalid("tokenGroup: a frame exceeds 4 GiB");
    header.frames[i].size = static_cast<uint32_t>(frames[i].size());
    header.frames[i].checksum = xxh3(frames[i], partSeed(header.chunkId, i));
    size += frames[i].size();
  }
  SPOLIA_ASSIGN_OR_RETURN(Bytes stream, writeHeader(header));
  SPOLIA_CHECK(stream.size() == draft.size());
  stream.reserve(size);
  for (const Bytes& frame : frames) stream.insert(stream.end(), frame.begin(), frame.end());
  return stream;
}

}  // namespace spolia::codec
