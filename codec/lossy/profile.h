// Profiles: what is learnt once per model about its keys and values, so that streams need not carry
// it: a code for every token of the vocabulary, from which rows are predicted, and for each lossy
// preset blocks of channels with their means, bases and symbol tables. A profile is named in the
// headers of the streams that were made with it by the SHA-256 of its bytes. codec/FORMAT.md
// ("Profiles") gives every byte.
//
// Values; a Profile never changes once parsed and may be read by any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "codec/kv_layout.h"
#include "codec/lossy/coefficient_coder.h"
#include "codec/lossy/factor_tiles.h"

namespace spolia::codec {

inline constexpr size_t kMaxProfileBytes = size_t{256} << 20;
inline constexpr uint32_t kMaxCodeRank = 128;
inline constexpr uint32_t kMaxBlockComponents = 512;
inline constexpr uint32_t kMaxShift = 8;
// Of a number of a code that takes 4 bits.
inline constexpr int8_t kNarrowCodeReach = 7;

// Consecutive channels, counted through layers, K before V, heads and their channels: the whole of
// some heads. With s = scale, n = mapScale, u = components, m = maps, all by channel:
//   value = mean + s * (n * sum of m[i] * x[i] + step * componentScale * sum of u[j] *
//   q[j])
struct ProfileBlock {
  uint32_t begin = 0;  // channels
  uint32_t end = 0;

  float componentScale = 0;
  std::vector<float> mean, scale, mapScale;  // [channel], bf16 values; scale > 0
  std::vector<int8_t> maps;                  // [ownCodes + codesBefore][channel]
  std::vector<uint8_t> classes;    // [component / kPackComponents]: at the transform's step
  std::vector<uint8_t> shifts;     // [component]: its row is 2^shift times what it says
  std::vector<int8_t> components;  // [component][channel]

  uint32_t channels() const { return end - begin; }
  uint32_t componentCount() const { return static_cast<uint32_t>(shifts.size()); }
  bool operator==(const ProfileBlock&) const = default;
};

// What a preset does. The blocks cover all channels, in order, or all but those of the first layer;
// a plane lies in one block or in several, but no block begins or ends within a head.
struct ProfileTransform {
  uint8_t preset = 0;          // 2 balanced, 3 small: as in stream headers
  float step = 0;              // of the finest level at gain 0
  uint8_t planesPerGroup = 0;  // of a stream's plane groups; 0: all planes in one
  uint8_t ownCodes = 0;        // at most codeRank, both
  uint8_t codesBefore = 0;
  std::vector<ProfileBlock> blocks;
  ClassTables tables;

  // How many of the first layers, 0 or 1, its streams leave to the reader.
  uint32_t derivedLayers() const { return blocks.front().begin == 0 ? 0 : 1; }
  bool operator==(const ProfileTransform&) const = default;
};

// The contents of a profile.
struct ProfileData {
  ModelFingerprint fingerprint;
  std::vector<LayerShape> layers;
  uint32_t codeRank = 0;
  uint32_t wideCodes = 0;           // the first so many numbers of a code take 8 bits, others 4
  std::vector<uint8_t> codeShifts;  // [codeRank]: what the code's numbers are multiplied by, as 2^n
  std::vector<int8_t> codes;        // [token][codeRank]
  std::vector<ProfileTransform> transforms;

  bool operator==(const ProfileData&) const = default;
};

Bytes writeProfile(const ProfileData& data);

class Profile {
 public:
  // Some channels of a block, all of one plane: what the arithmetic works on at a time.
  struct Panel {
    uint32_t plane;           // 2 x layer, plus 1 for V
    uint32_t channelOfPlane;  // the first
    uint32_t channel;         // the first, of the block
    uint32_t width;
  };
  // A block in the form the arithmetic wants.
  struct Block {
    const ProfileBlock* data;
    std::vector<Panel> panels;
    std::vector<RowBytes> maps, components;  // as panelsOf() has them
    std::vector<int16_t> powers;             // [component]: 2^shift; empty when all are 1
    std::vector<float> inverse;              // [channel]: 1 / scale
    struct Lazy {
      std::once_flag once;
      std::vector<RowFloats> analysis;
    };
    std::unique_ptr<Lazy> lazy;

    // [channel][component]: what turns residuals into coefficients. Made when first asked for, as
    // only encoders do: it takes the square of the components for each channel.
    const float* analysis() const;

    // Of a panel.
    PanelRows mapRows(const Panel& panel) const;
    PanelRows componentRows(const Panel& panel) const;
  };
  struct Transform {
    const ProfileTransform* data;
    std::vector<Block> blocks;
    PreparedTables tables;
  };

  // kCorrupt, saying what does not hold; kUnsupported for a later version.
  static Result<std::shared_ptr<const Profile>> parse(ByteSpan bytes);

  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  const Sha256Digest& id() const { return id_; }
  const ProfileData& data() const { return data_; }
  // Null when the profile has none for this preset.
  const Transform* transform(uint8_t preset) const;
  // The first `count` numbers of a token's code times their shifts; zeros for a token it does not
  // know.
  void codeOf(uint32_t token, uint32_t count, int16_t* to) const;

 private:
  Profile(ProfileData data, const Sha256Digest& id);

  const ProfileData data_;
  const Sha256Digest id_;
  std::vector<Transform> transforms_;
  std::vector<int16_t> codePowers_;  // [codeRank]: 2 to the code shifts
};

}  // namespace spolia::codec
