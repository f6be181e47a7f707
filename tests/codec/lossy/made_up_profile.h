// Random but sound profiles for any layer shapes, put together through the structs, and identities
// of their model. Bases are orthonormal to the last bit, so that tests can say what a coefficient
// has to be.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "codec/chunk_identity.h"
#include "codec/lossy/profile.h"
#include "codec/values/half.h"

namespace spolia::codec {

// What a block takes together.
enum class BlockCut : uint8_t { kHead, kTwoHeads, kPlane, kLayer, kAll };
inline constexpr BlockCut kAllCuts[] = {BlockCut::kHead, BlockCut::kTwoHeads, BlockCut::kPlane,
                                        BlockCut::kLayer, BlockCut::kAll};

inline constexpr uint32_t kAllComponents = UINT32_MAX;
// Fewer than the ids that made-up identities have: some tokens are unknown.
inline constexpr uint32_t kMadeUpVocabulary = 90;

struct ProfileRecipe {
  std::vector<LayerShape> layers{{2, 8}};
  BlockCut cut = BlockCut::kPlane;
  uint8_t history = 2;  // tokens that a prediction looks at; of the one before by less
  uint32_t codeRank = 7;
  uint32_t narrowCodes = 3;              // of them take 4 bits, if there are as many
  uint32_t components = kAllComponents;  // of a block; as many as its channels allow
  bool derived = false;                  // without the first layer; of several layers
  bool mixed = false;                    // every block draws its own number of components
  bool ownTables = false;                // not the built-in ones
  float step = 0.0625f;
  uint32_t seed = 1;
};

inline float nearestBf16(float v) {
  return f32FromBf16(bf16FromF32(v));
}

// First channel of every block, and the number of channels.
inline std::vector<uint32_t> blockBounds(const std::vector<LayerShape>& layers, BlockCut cut) {
  std::vector<uint32_t> out{0};
  for (const LayerShape& shape : layers) {
    for (uint32_t plane = 0; plane < 2; ++plane) {
      const uint32_t begin = out.back();
      const uint32_t end = begin + shape.channels();
      const uint32_t heads = cut == BlockCut::kHead ? 1 : cut == BlockCut::kTwoHeads ? 2 : 1u << 20;
      for (uint32_t h = heads; h < shape.kvHeads; h += heads) {
        out.push_back(begin + h * shape.headDim);
      }
      out.push_back(end);
    }
  }
  if (cut == BlockCut::kAll) return {0, out.back()};
  if (cut != BlockCut::kLayer) return out;
  std::vector<uint32_t> layersOnly;
  for (size_t i = 0; i < out.size(); i += 2) layersOnly.push_back(out[i]);
  return layersOnly;
}

// The same without the blocks of the first layer.
inline std::vector<uint32_t> blockBounds(const ProfileRecipe& recipe) {
  std::vector<uint32_t> out = blockBounds(recipe.layers, recipe.cut);
  if (!recipe.derived) return out;
  const uint32_t first = 2 * recipe.layers.front().channels();
  std::erase_if(out, [&](uint32_t bound) { return bound < first; });
  if (out.front() != first) out.insert(out.begin(), first);
  return out;
}

// `count` orthonormal rows, times 1 / componentScale: channels in pairs that are turned by the
// angle of the triangle 3, 4, 5, all by powers of two.
inline void fillComponents(ProfileBlock& block, uint32_t count, std::mt19937& random) {
  constexpr int32_t kWhole = 80;
  const uint32_t channels = block.channels();
  std::vector<uint32_t> order(channels);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  block.componentScale = 1.0f / kWhole;
  block.components.assign(size_t{count} * channels, 0);
  for (uint32_t j = 0; j < count; ++j) {
    const auto shift = static_cast<uint8_t>(random() % 5);
    block.shifts.push_back(shift);
    int8_t* row = block.components.data() + size_t{j} * channels;
    const auto put = [&](uint32_t at, int32_t v) {
      row[order[at]] = static_cast<int8_t>(v / (1 << shift));
    };
    put(j, 48);
    put(j ^ 1, j % 2 == 0 ? 64 : -64);
  }
  for (uint32_t g = 0; g < count / kPackComponents; ++g) {
    block.classes.push_back(static_cast<uint8_t>(4 + random() % 28));
  }
}

inline ProfileBlock madeUpBlock(const ProfileRecipe& recipe, uint32_t mapRows, uint32_t begin,
                                uint32_t end, std::mt19937& random) {
  constexpr uint32_t kCounts[] = {0, 4, 12, kAllComponents};
  ProfileBlock block;
  block.begin = begin;
  block.end = end;
  const uint32_t wanted = recipe.mixed ? kCounts[random() % 4] : recipe.components;
  const uint32_t count = std::min({wanted, block.channels(), kMaxBlockComponents});
  std::normal_distribution<float> normal;
  for (uint32_t c = begin; c < end; ++c) {
    block.scale.push_back(nearestBf16(std::exp(normal(random) / 2)));
    block.mean.push_back(nearestBf16(normal(random)));
    block.mapScale.push_back(nearestBf16(normal(random) / 8192));
  }
  block.maps.resize(size_t{mapRows} * block.channels());
  for (int8_t& m : block.maps) m = static_cast<int8_t>(random());
  fillComponents(block, count / kPackComponents * kPackComponents, random);
  return block;
}

// Tables unlike the built-in ones, with symbols left to the escape.
inline ClassTables madeUpTables(std::mt19937& random) {
  ClassTables tables;
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const PackForm form = coarsePack(c);
    SymbolCounts coarse{};
    SymbolCounts fine{};
    for (uint32_t s = 0; s <= form.escape(); ++s) {
      coarse[s] = random() % 4 == 0 ? 0 : 1 + random() % 1000;
    }
    coarse[form.escape() / 2] = 3000;
    for (uint32_t s = 0; s < kFinePack.escape(); ++s) fine[s] = random() % 1000;
    tables.coarse[c] = coarseTableOf(coarse, form);
    tables.fine[c] = fineTableOf(fine);
  }
  return tables;
}

inline ModelFingerprint madeUpFingerprint() {
  ModelFingerprint out;
  for (size_t i = 0; i < out.bytes.size(); ++i) out.bytes[i] = static_cast<std::byte>(7 * i + 1);
  return out;
}

// Of both presets: `small` has twice the step of `balanced`.
inline ProfileData madeUpProfileData(const ProfileRecipe& recipe) {
  std::mt19937 random(recipe.seed);
  ProfileData data;
  data.fingerprint = madeUpFingerprint();
  data.layers = recipe.layers;
  data.codeRank = recipe.codeRank;
  for (uint32_t i = 0; i < recipe.codeRank; ++i) {
    data.codeShifts.push_back(static_cast<uint8_t>(random() % 4));
  }
  data.codes.resize(size_t{kMadeUpVocabulary} * recipe.codeRank);
  data.wideCodes = recipe.codeRank - std::min(recipe.codeRank, recipe.narrowCodes);
  for (size_t i = 0; i < data.codes.size(); ++i) {
    const auto narrow = static_cast<int8_t>(static_cast<int32_t>(random() % 15) - kNarrowCodeReach);
    data.codes[i] = i % recipe.codeRank < data.wideCodes ? static_cast<int8_t>(random()) : narrow;
  }
  const std::vector<uint32_t> bounds = blockBounds(recipe);
  for (uint8_t preset : {2, 3}) {
    ProfileTransform& transform = data.transforms.emplace_back();
    transform.preset = preset;
    transform.step = preset == 2 ? recipe.step : 2 * recipe.step;
    transform.planesPerGroup = recipe.cut == BlockCut::kAll     ? 0
                               : recipe.cut == BlockCut::kLayer ? 2
                                                                : 1 + random() % 3;
    transform.ownCodes = static_cast<uint8_t>(recipe.history > 0 ? recipe.codeRank : 0);
    transform.codesBefore = static_cast<uint8_t>(recipe.history > 1 ? recipe.codeRank / 2 : 0);
    for (size_t b = 0; b + 1 < bounds.size(); ++b) {
      transform.blocks.push_back(madeUpBlock(recipe, transform.ownCodes + transform.codesBefore,
                                             bounds[b], bounds[b + 1], random));
    }
    transform.tables = recipe.ownTables ? madeUpTables(random) : builtInTables();
  }
  return data;
}

inline std::shared_ptr<const Profile> madeUpProfile(const ProfileRecipe& recipe) {
  return Profile::parse(writeProfile(madeUpProfileData(recipe))).value();
}

// Text of the made-up model, or an image, which has no tokens to predict from.
inline ChunkIdentity madeUpIdentity(uint32_t tokens, uint32_t seed = 1) {
  std::mt19937 random(seed);
  ChunkIdentity identity;
  identity.fingerprint = madeUpFingerprint();
  for (uint32_t i = 0; i < tokens; ++i) {
    identity.tokens.push_back(random() % 50 == 0 ? UINT32_MAX : random() % 100);
  }
  return identity;
}
inline ChunkIdentity madeUpImage(uint32_t rows) {
  ChunkIdentity identity;
  identity.fingerprint = madeUpFingerprint();
  identity.modality = Modality::kImage;
  identity.imageRows = rows;
  return identity;
}

}  // namespace spolia::codec
