#include "bench/codec/profiled_kv.h"

#include <algorithm>
#include <cmath>

#include "codec/values/half.h"

namespace spolia::bench {

using namespace codec;

namespace {

constexpr uint32_t kVocabulary = 32000;
constexpr uint32_t kLayers = 8;
constexpr LayerShape kShape{8, 128};
constexpr uint32_t kCodes = 88;
constexpr uint32_t kCodesBefore = 32;

ProfileBlock benchBlock(uint32_t begin, std::mt19937& random) {
  ProfileBlock block;
  block.begin = begin;
  block.end = begin + kShape.headDim;
  block.componentScale = 1.0f / 1024;  // rows of about unit length
  block.mean.assign(block.channels(), 0.125f);
  block.scale.assign(block.channels(), 1.0f);
  block.mapScale.assign(block.channels(), 1.0f / 65536);
  block.maps.resize(size_t{kCodes + kCodesBefore} * block.channels());
  block.components.resize(size_t{kShape.headDim} * block.channels());
  block.shifts.assign(kShape.headDim, 0);
  std::normal_distribution<float> normal(0, 40);
  for (auto* rows : {&block.maps, &block.components}) {
    for (int8_t& v : *rows) v = static_cast<int8_t>(std::clamp(normal(random), -127.0f, 127.0f));
  }
  for (uint32_t g = 0; g < kShape.headDim / kPackComponents; ++g) {
    block.classes.push_back(static_cast<uint8_t>(kUnitClass + 8 - 24 * g * kPackComponents / 128));
  }
  return block;
}

// Few ids make up most of a text.
TokenId drawToken(uint32_t vocabulary, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(0, std::log(double{1} * vocabulary));
  return static_cast<TokenId>(std::exp(uniform(random))) % vocabulary;
}

}  // namespace

std::shared_ptr<const Profile> benchProfile() {
  std::mt19937 random(1);
  ProfileData data;
  data.layers.assign(kLayers, kShape);
  data.codeRank = kCodes;
  data.wideCodes = 8;
  data.codeShifts.assign(kCodes, 0);
  for (size_t i = 0; i < size_t{kVocabulary} * kCodes; ++i) {
    data.codes.push_back(static_cast<int8_t>(random() % 15) - 7);
  }
  ProfileTransform transform;
  transform.preset = 2;
  transform.step = 0.0625f;
  transform.planesPerGroup = 2;
  transform.ownCodes = kCodes;
  transform.codesBefore = kCodesBefore;
  transform.tables = builtInTables();
  const uint32_t channels = kLayers * 2 * kShape.channels();
  for (uint32_t c = 0; c < channels; c += kShape.headDim) {
    transform.blocks.push_back(benchBlock(c, random));
  }
  data.transforms.push_back(std::move(transform));
  return Profile::parse(writeProfile(data)).value();
}

ProfiledKv::ProfiledKv(std::shared_ptr<const Profile> of, uint8_t preset, uint32_t tokens)
    : profile(std::move(of)) {
  std::mt19937 random(2);
  std::exponential_distribution<float> exponential(std::sqrt(2.0f));
  const ProfileData& data = profile->data();
  identity.fingerprint = data.fingerprint;
  const auto vocabulary = static_cast<uint32_t>(data.codes.size() / data.codeRank);
  for (uint32_t t = 0; t < tokens; ++t) identity.tokens.push_back(drawToken(vocabulary, random));
  const ProfileTransform& transform = *profile->transform(preset)->data;
  const uint32_t row = transform.blocks.back().end;
  values.resize(size_t{tokens} * row);
  decoded.resize(values.size());
  for (const ProfileBlock& block : transform.blocks) {
    for (uint32_t t = 0; t < tokens; ++t) {
      std::vector<float> sum(block.mean);
      for (uint32_t j = 0; j < block.componentCount(); ++j) {
        const float spread =
            transform.step * std::exp2((block.classes[j / kPackComponents] - kUnitClass) / 4.0f);
        const float z = exponential(random) * spread * (random() % 2 == 0 ? 1.0f : -1.0f);
        const float factor = z * std::ldexp(block.componentScale, block.shifts[j]);
        const int8_t* from = block.components.data() + size_t{j} * block.channels();
        for (uint32_t c = 0; c < block.channels(); ++c) {
          sum[c] += block.scale[c] * factor * static_cast<float>(from[c]);
        }
      }
      uint16_t* to = values.data() + size_t{t} * row + block.begin;
      for (uint32_t c = 0; c < block.channels(); ++c) {
        to[c] = f16FromF32(std::clamp(sum[c], -kMaxF16, kMaxF16));
      }
    }
  }
}

size_t ProfiledKv::storedCount() const {
  const std::vector<ProfileBlock>& blocks = profile->data().transforms.front().blocks;
  return size_t{identity.rows()} * (blocks.back().end - blocks.front().begin);
}

template <typename Byte>
BasicKvMemory<Byte> ProfiledKv::memory(Byte* base) const {
  const LayerShape shape = profile->data().layers.front();
  const auto plane = static_cast<ptrdiff_t>(shape.channels()) * 2;
  const auto row = static_cast<ptrdiff_t>(profile->data().layers.size()) * 2 * plane;
  return {base, 2 * plane,        plane, static_cast<ptrdiff_t>(shape.headDim) * 2,
          row,  ElementType::kF16};
}

KvView ProfiledKv::view() const {
  return memory(reinterpret_cast<const std::byte*>(values.data()));
}
KvTarget ProfiledKv::target() {
  return memory(reinterpret_cast<std::byte*>(decoded.data()));
}

}  // namespace spolia::bench
