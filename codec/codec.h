// The codec's face: KV values in, a stream out, and back by ranges. A pure library: it neither
// prints nor aborts on input nor keeps state; every function may be called from any thread. Streams
// are untrusted: any bytes give values or an error, and what is allocated on the way is bounded as
// codec/FORMAT.md ("Limits") says.
//
// A stream is a header followed by frames. A frame = (plane group, token group, level), is
// decodable on its own and has its own checksum. codec/FORMAT.md gives every byte.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "codec/kv_layout.h"

namespace spolia::codec {

// Transform and profile of a stream, fixed at encoding. The numbers stand in headers.
enum class Preset : uint8_t { kLossless = 0, kHigh = 1, kBalanced = 2, kSmall = 3 };

// "lossless", "high", "balanced", "small".
std::string_view presetName(Preset preset);
Result<Preset> presetFromName(std::string_view name);

// Whether K was stored before RoPE, or rotated with positions counted from firstPosition.
enum class KForm : uint8_t { kPreRope = 0, kRotated = 1 };

inline constexpr uint32_t kMaxHeaderBytes = 4u << 20;
// A reader that has this many bytes knows how long the header is.
inline constexpr uint32_t kHeaderPrefixBytes = 32;

// One tensor of one layer.
struct PlaneRef {
  uint32_t layer = 0;
  Plane plane = Plane::kK;
  bool operator==(const PlaneRef&) const = default;
};

struct FrameEntry {
  uint64_t offset = 0;    // from the start of the stream
  uint32_t size = 0;      // bytes
  uint64_t checksum = 0;  // XXH3-64 of the frame's bytes, seeded as FORMAT.md says
};

// A typed part after the header that readers skip when they do not know its type.
struct SideSection {
  uint32_t type = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
  uint64_t checksum = 0;
};

struct StreamHeader {
  uint16_t version = 0;
  ChunkId chunkId;  // equals chunkIdOf(identity): parseHeader checks it
  ChunkIdentity identity;
  ElementType elementType = ElementType::kF32;  // of the values that were encoded
  KForm kForm = KForm::kPreRope;
  uint32_t firstPosition = 0;  // kRotated only
  Preset preset = Preset::kLossless;
  Sha256Digest profile;  // zero: none needed
  uint8_t levels = 1;
  uint32_t tokenGroup = 0;         // tokens of a frame; the last group may be shorter
  std::vector<LayerShape> layers;  // [layer]
  // Of all planes but those of derived layers.
  std::vector<std::vector<PlaneRef>> planeGroups;
  // The first so many layers, 0 or 1, are not in the stream: their K and V follow from the token
  // ids and the model's weights alone. Whoever reads them computes them.
  uint32_t derivedLayers = 0;
  std::vector<FrameEntry> frames;  // level-major, then plane group, then token group
  std::vector<SideSection> sideSections;
  uint32_t headerBytes = 0;  // where the first frame may start
  uint64_t streamBytes = 0;  // the whole stream

  uint32_t tokens() const { return identity.rows(); }
  uint32_t tokenGroups() const { return (tokens() + tokenGroup - 1) / tokenGroup; }
};

class Profile;  // codec/lossy/profile.h

struct EncodeOptions {
  Preset preset = Preset::kHigh;
  KForm kForm = KForm::kPreRope;
  uint32_t firstPosition = 0;
  uint32_t tokenGroup = 256;
  // For `balanced` and `small`, which get smaller by it; borrowed for the call. Of this model, for
  // keys before RoPE. One that leaves out the first layer makes a stream without that layer, of
  // text only.
  const Profile* profile = nullptr;
  // But for `lossless`: how many levels, and quarter octaves that the preset's step is widened by.
  uint8_t levels = 2;
  int8_t gain = 0;
};

// Memory that encoding works in; kept from call to call it spares making it anew, which takes a
// quarter of the time. One thread at a time.
class EncodeScratch {
 public:
  EncodeScratch();
  ~EncodeScratch();
  EncodeScratch(const EncodeScratch&) = delete;
  EncodeScratch& operator=(const EncodeScratch&) = delete;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Encodes all layers and tokens of `kv` (its range is the whole chunk). kInvalidArgument when the
// identity has no rows or too many, a shape is empty, or a profile is of another model or shape or
// without the preset. Values that are not finite survive `lossless` and are refused by the others
// (kInvalidArgument, naming layer and tensor).
Result<Bytes> encodeStream(const ChunkIdentity& identity, std::span<const LayerShape> layers,
                           const KvView& kv, const EncodeOptions& options,
                           EncodeScratch* scratch = nullptr);

// Header length from the first kHeaderPrefixBytes. kCorrupt when they are not ours or too few,
// kUnsupported when the version is newer.
Result<uint32_t> headerLength(ByteSpan prefix);
// The header, checked whole: checksum, chunk id, shapes, table inside the stream, limits. `data`
// may be longer than the header. kCorrupt or kUnsupported otherwise.
Result<StreamHeader> parseHeader(ByteSpan data);
// Everything parseHeader checks, and that `stream` is complete and every frame's checksum holds.
Result<StreamHeader> verifyStream(ByteSpan stream);

// Indices of the smallest set of frames that covers `range`, ascending.
std::vector<uint32_t> coveringFrames(const StreamHeader& header, const KvRange& range);

// One frame's bytes as fetched; `index` is into header.frames.
struct FrameBytes {
  uint32_t index = 0;
  ByteSpan bytes;
};

// kCorrupt unless the bytes are those of that frame.
Status verifyFrame(const StreamHeader& header, const FrameBytes& frame);

// Memory that decoding works in. Passed to one call after another it grows to what the largest
// frame needs, and nothing is allocated any more. One thread at a time.
class DecodeScratch {
 public:
  DecodeScratch();
  ~DecodeScratch();
  DecodeScratch(const DecodeScratch&) = delete;
  DecodeScratch& operator=(const DecodeScratch&) = delete;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Verifies one frame, decodes it and writes the part of it that lies in `range` to `target`. The
// bytes of the target outside the range stay. kCorrupt when the frame is not what the table says or
// is malformed; kInvalidArgument when a `lossless` stream is asked into another element type that
// cannot hold its values exactly (widening to f32 is exact). A frame of a further level is added to
// what the levels before it left in the target, which hence come first. On error the range holds
// anything. Derived layers of the range stay as they were. A stream that names a profile is decoded
// with that one: kNotFound without it. Without a scratch the call has one of its own.
Status decodeFrame(const StreamHeader& header, const FrameBytes& frame, const KvRange& range,
                   const KvTarget& target, const Profile* profile = nullptr,
                   DecodeScratch* scratch = nullptr);

// The frames that coveringFrames() names for `range`, in that order: the levels of a place at once,
// which costs less than one after another and rounds once. kInvalidArgument when they are others.
Status decodeFrames(const StreamHeader& header, std::span<const FrameBytes> frames,
                    const KvRange& range, const KvTarget& target, const Profile* profile = nullptr,
                    DecodeScratch* scratch = nullptr);

// The same, of a complete stream.
Status decodeStream(ByteSpan stream, const StreamHeader& header, const KvRange& range,
                    const KvTarget& target, const Profile* profile = nullptr,
                    DecodeScratch* scratch = nullptr);

}  // namespace spolia::codec
