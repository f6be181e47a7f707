// KV that a made-up profile describes, and what the transform means, in doubles and plain loops: a
// second opinion on the codec's arithmetic.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "codec/codec.h"
#include "tests/codec/golden_kv.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {

struct ChannelPlace {
  uint32_t layer;
  Plane plane;
  uint32_t head;
  uint32_t at;  // in the head
};

inline std::vector<ChannelPlace> channelPlaces(const std::vector<LayerShape>& layers) {
  std::vector<ChannelPlace> out;
  for (uint32_t layer = 0; layer < layers.size(); ++layer) {
    for (Plane plane : {Plane::kK, Plane::kV}) {
      for (uint32_t h = 0; h < layers[layer].kvHeads; ++h) {
        for (uint32_t d = 0; d < layers[layer].headDim; ++d) out.push_back({layer, plane, h, d});
      }
    }
  }
  return out;
}

// The transform of one preset, of one chunk's tokens.
class PlainTransform {
 public:
  PlainTransform(const ProfileData& data, uint8_t preset, std::vector<uint32_t> tokens)
      : data_(data), places_(channelPlaces(data.layers)), tokens_(std::move(tokens)) {
    for (const ProfileTransform& t : data.transforms) {
      if (t.preset == preset) transform_ = &t;
    }
  }

  const std::vector<ProfileBlock>& blocks() const { return transform_->blocks; }
  double step(int gain) const { return transform_->step * std::exp2(gain / 4.0); }

  // Of a block's channel `c`, in units of its scale.
  double predicted(const ProfileBlock& block, uint32_t token, uint32_t c) const {
    double sum = 0;
    for (uint32_t back = 0; back < 2; ++back) {
      if (tokens_.empty() || back > token) continue;
      const uint64_t id = tokens_[token - back];
      if (id >= kMadeUpVocabulary) continue;
      const uint32_t codes = back == 0 ? transform_->ownCodes : transform_->codesBefore;
      for (uint32_t i = 0; i < codes; ++i) {
        const size_t row = size_t{back} * transform_->ownCodes + i;
        sum += double{1} * data_.codes[id * data_.codeRank + i] * (1 << data_.codeShifts[i]) *
               block.maps[row * block.channels() + c];
      }
    }
    return sum * block.mapScale[c];
  }
  double component(const ProfileBlock& block, uint32_t j, uint32_t c) const {
    return double{1} * block.components[size_t{j} * block.channels() + c] * (1 << block.shifts[j]) *
           block.componentScale;
  }
  double value(const ProfileBlock& block, uint32_t token, uint32_t c,
               const std::vector<double>& coefficients) const {
    double sum = predicted(block, token, c);
    for (uint32_t j = 0; j < block.componentCount(); ++j) {
      sum += component(block, j, c) * coefficients[j];
    }
    return block.mean[c] + block.scale[c] * sum;
  }
  // What a block's values of a token are made of; `of` is f32.
  std::vector<double> coefficients(const ProfileBlock& block, const KvView& of,
                                   uint32_t token) const {
    std::vector<double> out(block.componentCount());
    for (uint32_t c = 0; c < block.channels(); ++c) {
      const double rest = (read(of, block.begin + c, token) - block.mean[c]) / block.scale[c] -
                          predicted(block, token, c);
      for (uint32_t j = 0; j < out.size(); ++j) out[j] += component(block, j, c) * rest;
    }
    return out;
  }
  float read(const KvView& of, uint32_t channel, uint32_t token) const {
    const ChannelPlace& p = places_[channel];
    float v;
    std::memcpy(&v, of.at(p.layer, p.plane, p.head, token) + p.at * sizeof v, sizeof v);
    return v;
  }

  // Values with coefficients of Laplace distributions, as wide as their classes say.
  void fill(const KvTarget& to, uint32_t tokens, uint32_t seed) const {
    std::mt19937 random(seed);
    std::exponential_distribution<double> side;
    for (const ProfileBlock& block : blocks()) {
      std::vector<double> z(block.componentCount());
      for (uint32_t t = 0; t < tokens; ++t) {
        for (uint32_t j = 0; j < z.size(); ++j) {
          const int32_t above = block.classes[j / kPackComponents] - kUnitClass;
          const double spread = transform_->step * std::exp2(above / 4.0);
          z[j] = (random() % 2 == 0 ? 1 : -1) * side(random) * spread / std::sqrt(2.0);
        }
        for (uint32_t c = 0; c < block.channels(); ++c) {
          const auto v = static_cast<float>(value(block, t, c, z));
          const ChannelPlace& p = places_[block.begin + c];
          write(v, to.type, to.at(p.layer, p.plane, p.head, t) + p.at * elementSize(to.type));
        }
      }
    }
  }

 private:
  static void write(float v, ElementType type, std::byte* to) {
    if (type == ElementType::kF32) {
      std::memcpy(to, &v, sizeof v);
      return;
    }
    const uint16_t half = type == ElementType::kF16 ? f16FromF32(v) : bf16FromF32(v);
    std::memcpy(to, &half, sizeof half);
  }

  const ProfileData& data_;
  const ProfileTransform* transform_ = nullptr;
  std::vector<ChannelPlace> places_;
  std::vector<uint32_t> tokens_;
};

// Layers of different shapes, and profiles of them.
inline const std::vector<LayerShape> kUnevenLayers{{2, 8}, {1, 5}, {3, 4}};
inline ProfileRecipe unevenRecipe(BlockCut cut, uint32_t seed = 1) {
  ProfileRecipe recipe;
  recipe.layers = kUnevenLayers;
  recipe.cut = cut;
  recipe.mixed = seed % 2 == 0;
  recipe.seed = seed;
  return recipe;
}

// A profile, an identity and KV that fit each other.
struct LossySample {
  std::shared_ptr<const Profile> profile;
  ChunkIdentity identity;
  GoldenKv kv;

  LossySample(const ProfileRecipe& recipe, ChunkIdentity id, ElementType type, uint32_t seed = 1)
      : profile(madeUpProfile(recipe)),
        identity(std::move(id)),
        kv(recipe.layers, identity.rows(), type) {
    PlainTransform(profile->data(), 2, identity.tokens).fill(kv.target(), identity.rows(), seed);
  }
  EncodeOptions options(uint8_t levels = 2, uint32_t tokenGroup = 256) const {
    EncodeOptions out;
    out.preset = Preset::kBalanced;
    out.profile = profile.get();
    out.levels = levels;
    out.tokenGroup = tokenGroup;
    return out;
  }
  Bytes encoded(const EncodeOptions& options) const {
    return encodeStream(identity, profile->data().layers, kv.view(), options).value();
  }
  GoldenKv like(ElementType type) const {
    return GoldenKv(profile->data().layers, identity.rows(), type);
  }
  GoldenKv decoded(ByteSpan stream, uint8_t maxLevel = UINT8_MAX,
                   ElementType type = ElementType::kF32) const {
    GoldenKv out = like(type);
    KvRange range;
    range.maxLevel = maxLevel;
    const StreamHeader header = verifyStream(stream).value();
    const Status status = decodeStream(stream, header, range, out.target(), profile.get());
    SPOLIA_CHECK(status.ok());
    return out;
  }
};

}  // namespace spolia::codec
