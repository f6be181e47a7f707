#include "codec/codec.h"

#include "codec/base/checksum.h"
#include "codec/frame_parts.h"
#include "codec/stream_header.h"

namespace spolia::codec {

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
  return Status(ErrorCode::kInvalidArgument,
                "preset \"" + std::string(name) + "\": expected lossless, high, balanced or small");
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
  std::vector<uint32_t> out;
  forEachCovering(header, range, [&](uint32_t index) { out.push_back(index); });
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

}  // namespace spolia::codec
