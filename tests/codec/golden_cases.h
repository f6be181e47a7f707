// What the golden streams of lossless and `high` hold, and how any golden stream is made: each
// preset and element type, both k_forms, shapes that differ from layer to layer, one token and one
// more than a token group, what only other writers make.
#pragma once

#include <string>
#include <vector>

#include "tests/codec/codec_samples.h"
#include "tests/codec/golden_kv.h"
#include "tests/codec/lossy/fitting_kv.h"
#include "tests/codec/lossy/made_up_profile.h"

namespace spolia::codec {

struct GoldenCase {
  std::string name;
  Preset preset = Preset::kLossless;
  ElementType type = ElementType::kF32;
  std::vector<LayerShape> layers = {{1, 8}, {1, 8}};
  uint32_t tokens = 20;
  uint32_t tokenGroup = 256;
  KForm kForm = KForm::kPreRope;
  uint32_t firstPosition = 0;
  enum class Identity { kPlain, kPrefix, kImage } identity = Identity::kPlain;
  enum class Values { kLikeKv, kBits, kConstant, kOutliers } values = Values::kLikeKv;
  bool oneGroup = false;  // all planes in one group, last plane first
  std::vector<SidePart> sides = {};
  std::string profile = {};  // NAME.profile; values are then such as it describes
  uint8_t levels = 1;        // but for lossless, as the gain
  int8_t gain = 0;
};

// Without a profile: each preset and number of levels, and what scales are hard to choose for.
inline std::vector<GoldenCase> goldenScaledCases() {
  using enum ElementType;
  GoldenCase odd{"high_odd_heads", Preset::kHigh, kF32, {{3, 7}, {1, 1}, {2, 5}}, 30, 16};
  odd.levels = 2;
  GoldenCase three{"high_three_levels", Preset::kHigh, kBf16, {{2, 16}}, 64};
  three.levels = 3;
  GoldenCase outliers{"high_outliers", Preset::kHigh, kF16, {{2, 10}}, 50};
  outliers.values = GoldenCase::Values::kOutliers;
  outliers.levels = 2;
  GoldenCase gain{"high_gain_down", Preset::kHigh, kF32, {{1, 12}}, 40};
  gain.gain = -20;
  gain.levels = 2;
  GoldenCase balanced{"balanced_scaled", Preset::kBalanced, kF16, {{2, 12}, {1, 6}}, 70, 48};
  balanced.levels = 2;
  GoldenCase small{"small_scaled", Preset::kSmall, kBf16, {{2, 12}}, 70};
  small.levels = 2;
  GoldenCase coarse{"small_scaled_gain_up", Preset::kSmall, kF32, {{2, 8}}, 40};
  coarse.gain = 9;
  coarse.levels = 3;
  return {odd, three, outliers, gain, balanced, small, coarse};
}

// Of lossless and `high`.
inline std::vector<GoldenCase> goldenPlainCases() {
  using enum ElementType;
  const Preset lossless = Preset::kLossless;
  const Preset high = Preset::kHigh;
  const std::vector<LayerShape> four = {{2, 16}, {2, 16}};
  const std::vector<LayerShape> differing = {{1, 4}, {2, 8}, {2, 8}, {4, 2}, {1, 4}};
  std::vector<GoldenCase> out;
  // The first four are older than the rest and keep their shape.
  for (ElementType type : {kF32, kF16, kBf16}) {
    out.push_back({"lossless_" + std::string(elementTypeName(type)), lossless, type, four, 40, 32});
  }
  out.push_back({"high_f32", high, kF32, four, 40, 32});
  out.push_back({"high_f16", high, kF16, {{2, 8}, {2, 8}}, 70, 32});
  out.push_back({"high_bf16", high, kBf16, {{2, 8}, {2, 8}}, 70, 32});
  for (Preset preset : {lossless, high}) {
    const std::string name(presetName(preset));
    out.push_back({name + "_rotated",
                   preset,
                   kBf16,
                   {{1, 8}, {1, 8}},
                   20,
                   256,
                   KForm::kRotated,
                   70000,
                   GoldenCase::Identity::kPrefix});
    out.push_back({name + "_layers_differ", preset, kF16, differing, 9, 4});
    out.push_back({name + "_one_token", preset, kF32, {{3, 5}}, 1, 1});
    out.push_back({name + "_257_tokens", preset, kBf16, {{1, 8}}, 257, 256});
    out.push_back({name + "_long", preset, kF16, {{1, 8}}, 600, 600});
    GoldenCase image{name + "_image", preset, kF16};
    image.identity = GoldenCase::Identity::kImage;
    out.push_back(image);
    GoldenCase constant{name + "_constant", preset, kBf16};
    constant.values = GoldenCase::Values::kConstant;
    out.push_back(constant);
    GoldenCase group{name + "_one_group", preset, kF32, differing, 9, 4};
    group.oneGroup = true;
    out.push_back(group);
    GoldenCase sides{name + "_side_sections", preset, kF16};
    sides.sides = {{7, toBytes(asBytes("cluster summaries of some later version"))},
                   {0x80000001, {}},
                   {7, Bytes(300, std::byte{0x5a})}};
    out.push_back(sides);
  }
  for (GoldenCase& golden : out) {
    if (golden.preset == high && golden.type != kF16) golden.levels = 2;
  }
  for (const GoldenCase& golden : goldenScaledCases()) out.push_back(golden);
  for (ElementType type : {kF32, kF16, kBf16}) {
    GoldenCase bits{"lossless_bits_" + std::string(elementTypeName(type)), lossless, type};
    bits.values = GoldenCase::Values::kBits;
    out.push_back(bits);
  }
  return out;
}

inline ChunkIdentity goldenIdentity(const GoldenCase& golden) {
  const bool image = golden.identity == GoldenCase::Identity::kImage;
  if (!golden.profile.empty()) {
    return image ? madeUpImage(golden.tokens) : madeUpIdentity(golden.tokens);
  }
  ChunkIdentity identity = sampleIdentity(golden.tokens);
  if (golden.identity == GoldenCase::Identity::kPrefix) {
    identity.parent.emplace().bytes.fill(std::byte{0x11});
    identity.mode = CompileMode::kPrefix;
    identity.tokens[0] = UINT32_MAX;
    identity.tokens[1] = 0;
  }
  if (image) {
    identity.mode = CompileMode::kLego0;
    identity.modality = Modality::kImage;
    identity.tokens.clear();
    identity.imageRows = golden.tokens;
    identity.imageBytes.bytes.fill(std::byte{0x22});
    identity.imagePreprocessing.bytes.fill(std::byte{0x33});
  }
  return identity;
}

// New input for a golden; afterwards the input is what stands in the tree.
inline GoldenKv makeGoldenInput(const GoldenCase& golden, const Profile* profile = nullptr) {
  GoldenKv kv(golden.layers, golden.tokens, golden.type);
  if (profile != nullptr) {
    const PlainTransform plain(profile->data(), static_cast<uint8_t>(golden.preset),
                               goldenIdentity(golden).tokens);
    plain.fill(kv.target(), golden.tokens, 1);
    return kv;
  }
  if (golden.values == GoldenCase::Values::kBits) kv.fillBits(1);
  if (golden.values == GoldenCase::Values::kLikeKv) kv.fill(1);
  if (golden.values == GoldenCase::Values::kOutliers) kv.fillWithOutliers(1);
  return kv;
}

inline Result<Bytes> encodeGolden(const GoldenCase& golden, const GoldenKv& kv,
                                  const Profile* profile = nullptr) {
  const EncodeOptions options{golden.preset, golden.kForm,  golden.firstPosition, golden.tokenGroup,
                              profile,       golden.levels, golden.gain};
  SPOLIA_ASSIGN_OR_RETURN(Bytes stream,
                          encodeStream(goldenIdentity(golden), golden.layers, kv.view(), options));
  if (!golden.oneGroup && golden.sides.empty()) return stream;
  SPOLIA_ASSIGN_OR_RETURN(StreamHeader header, parseHeader(stream));
  if (golden.oneGroup) {
    std::vector<PlaneRef> all;
    for (const auto& group : header.planeGroups)
      all.insert(all.begin(), group.begin(), group.end());
    std::swap(all.front(), all.back());
    header.planeGroups = {all};
    header.frames.assign(header.levels * header.tokenGroups(), {});
  }
  std::vector<Bytes> frames;
  for (uint32_t i = 0; i < header.frames.size(); ++i) {
    frames.push_back(encodeFrame(header, i, kv.view()));
  }
  return assembleStream(header, frames, golden.sides);
}

}  // namespace spolia::codec
