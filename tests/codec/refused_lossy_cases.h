// Streams of `balanced` and profiles that have to be refused: good ones, with one thing wrong.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/codec/lossy/fitting_kv.h"
#include "tests/codec/lossy/profile_use.h"
#include "tests/codec/refused_cases.h"

namespace spolia::codec::refused {

// A stream of two levels, frame by frame.
struct LossyParts {
  StreamHeader header;
  std::vector<Bytes> frames;

  explicit LossyParts(const std::shared_ptr<const Profile>& profile) {
    const ProfileData& data = profile->data();
    const ChunkIdentity identity = madeUpIdentity(60);
    GoldenKv kv(data.layers, identity.rows(), ElementType::kF16);
    PlainTransform(data, 2, identity.tokens).fill(kv.target(), identity.rows(), 4);
    EncodeOptions options;
    options.preset = Preset::kBalanced;
    options.profile = profile.get();
    const Bytes stream = encodeStream(identity, data.layers, kv.view(), options).value();
    header = verifyStream(stream).value();
    for (const FrameEntry& f : header.frames) {
      frames.push_back(toBytes(ByteSpan(stream).subspan(f.offset, f.size)));
    }
  }
  // Of blocks as large as planes: behind coding, gain and a spread for each.
  size_t formAt(size_t frame) const {
    return 2 + header.planeGroups[frame % header.planeGroups.size()].size();
  }
  // A frame of level 0 that has escapes, so few that their length is one byte.
  size_t withEscapes() const {
    for (size_t i = 0; i < header.planeGroups.size(); ++i) {
      const auto length = std::to_integer<uint8_t>(frames[i][formAt(i) + 1]);
      if (length > 0 && length < 127) return i;
    }
    SPOLIA_CHECK(false && "no frame with escapes");
    return 0;
  }
  // The frame with its escaped values replaced.
  Bytes escaping(size_t frame, const std::function<Bytes(Bytes)>& change) const {
    const ByteSpan all(frames[frame]);
    const size_t at = formAt(frame) + 1;
    const size_t length = std::to_integer<uint8_t>(all[at]);
    const Bytes values = change(toBytes(all.subspan(at + 1, length)));
    return toBytes(all.first(at)) + raw({static_cast<int>(values.size())}) + values +
           toBytes(all.subspan(at + 1 + length));
  }
};

using PartsChange = std::function<void(LossyParts&)>;

inline void lossyFrames(Cases& out, const LossyParts& good) {
  const auto add = [&](const std::string& name, const std::string& message,
                       const PartsChange& change, ErrorCode code = ErrorCode::kCorrupt) {
    LossyParts parts = good;
    change(parts);
    out.push_back({"learnt_" + name, code, message, assembleStream(parts.header, parts.frames)});
  };
  const size_t second = good.frames.size() / 2;  // of level 1
  const size_t escapes = good.withEscapes();
  const auto escaped = [&](const std::string& name, const std::string& message,
                           const std::function<Bytes(Bytes)>& change) {
    add(name, message, [&](LossyParts& p) { p.frames[escapes] = good.escaping(escapes, change); });
  };
  add("gain_of_level_1", "gain", [&](LossyParts& p) { p.frames[second][1] ^= std::byte{1}; });
  add("spread_of_level_1", "gain", [&](LossyParts& p) { p.frames[second][2] ^= std::byte{1}; });
  add("spread_cut", "gain", [](LossyParts& p) { p.frames[0].resize(2); });
  add("form", "form", [](LossyParts& p) { p.frames[0][p.formAt(0)] = std::byte{2}; });
  add("zeros_and_more", "left over",
      [](LossyParts& p) { p.frames[0][p.formAt(0)] = std::byte{0}; });
  add("escapes_cut", "cut off", [&](LossyParts& p) { p.frames[0].resize(p.formAt(0) + 1); });
  escaped("escapes_missing", "out of range", [](const Bytes&) { return Bytes(); });
  escaped("escape_left_over", "do not end", [](const Bytes& b) { return b + raw({0}); });
  escaped("escape_too_large", "out of range", [](const Bytes& b) {
    return raw({0x80, 0x80, 0x01}) + b;
  });
  add("payload_cut", "do not end",
      [](LossyParts& p) { p.frames[0].resize(p.frames[0].size() - 2); });
  add("payload_odd", "odd", [](LossyParts& p) { p.frames[0].pop_back(); });
  add("frame_empty", "empty", [](LossyParts& p) { p.frames[0].clear(); });
  add(
      "coding", "coding 2", [](LossyParts& p) { p.frames[0][0] = std::byte{2}; },
      ErrorCode::kUnsupported);
}

inline void lossyHeaders(Cases& out, const LossyParts& good) {
  const auto add = [&](const std::string& name, const std::string& message,
                       const PartsChange& change, ErrorCode code = ErrorCode::kCorrupt) {
    LossyParts parts = good;
    change(parts);
    out.push_back({"learnt_" + name, code, message, assembleStream(parts.header, parts.frames)});
  };
  add("planes_swapped", "consecutive", [](LossyParts& p) {
    std::vector<PlaneRef> all;
    for (const auto& group : p.header.planeGroups)
      all.insert(all.end(), group.begin(), group.end());
    std::swap(all[0], all[1]);
    p.header.planeGroups = {all};
    p.frames = {p.frames.front(), p.frames.back()};
  });
  const auto without = [](const std::vector<PlaneRef>& planes, LossyParts& p) {
    std::vector<PlaneRef> rest;
    for (const auto& group : p.header.planeGroups) {
      std::copy_if(group.begin(), group.end(), std::back_inserter(rest), [&](const PlaneRef& ref) {
        return std::find(planes.begin(), planes.end(), ref) == planes.end();
      });
    }
    p.header.planeGroups = {rest};
  };
  const std::vector<PlaneRef> first{{0, Plane::kK}, {0, Plane::kV}};
  const char* const missing = "a plane is missing";
  add("first_keys_missing", missing, [=](LossyParts& p) { without({first[0]}, p); });
  add("last_layer_missing", missing, [=](LossyParts& p) {
    without({{1, Plane::kK}, {1, Plane::kV}}, p);
  });
  add("first_layer_missing_rotated", missing, [=](LossyParts& p) {
    without(first, p);
    p.header.kForm = KForm::kRotated;
  });
  add("first_layer_missing_of_image", missing, [=](LossyParts& p) {
    without(first, p);
    p.header.identity = madeUpImage(p.header.tokens());
  });
  add("first_layer_missing_without_profile", missing, [=](LossyParts& p) {
    without(first, p);
    p.header.profile = {};
  });
  add("shape", "shape", [](LossyParts& p) { p.header.layers[0] = {1, 16}; });
  add(
      "without_profile", "coding 3", [](LossyParts& p) { p.header.profile = {}; },
      ErrorCode::kUnsupported);
  add(
      "profile_not_at_hand", "not at hand",
      [](LossyParts& p) { p.header.profile.bytes[5] ^= std::byte{1}; }, ErrorCode::kNotFound);
  add(
      "four_levels", "levels",
      [](LossyParts& p) {
        p.header.levels = 4;
        p.frames.resize(2 * p.frames.size(), p.frames.back());
      },
      ErrorCode::kUnsupported);
}

inline void lossyStreams(Cases& out, const std::shared_ptr<const Profile>& planes,
                         const std::shared_ptr<const Profile>& whole) {
  const LossyParts good(planes);
  lossyFrames(out, good);
  lossyHeaders(out, good);
  LossyParts cut(whole);  // its block is all planes
  std::vector<PlaneRef> all = cut.header.planeGroups[0];
  cut.header.planeGroups = {{all[0]}, {all.begin() + 1, all.end()}};
  cut.frames = {cut.frames[0], cut.frames[0], cut.frames[1], cut.frames[1]};
  out.push_back(
      {"learnt_block_cut", ErrorCode::kCorrupt, "blocks", assembleStream(cut.header, cut.frames)});
}

// One layer of two heads, two codes, `balanced`, every symbol as likely as any: 3 KB.
inline ProfileData smallProfileData() {
  ProfileRecipe recipe;
  recipe.layers = {{2, 4}};
  recipe.codeRank = 2;
  recipe.narrowCodes = 1;
  recipe.components = 4;
  ProfileData data = madeUpProfileData(recipe);
  data.transforms.pop_back();
  data.codes.resize(6);
  ClassTables& tables = data.transforms[0].tables;
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    const PackForm form = coarsePack(c);
    SymbolCounts counts{};
    std::fill_n(counts.begin(), form.escape() + 1, 100);
    tables.coarse[c] = coarseTableOf(counts, form);
    counts.fill(0);
    std::fill_n(counts.begin(), kFinePack.escape(), 100);
    tables.fine[c] = fineTableOf(counts);
  }
  return data;
}

inline void profileFields(Cases& out) {
  const auto add = [&](const std::string& name, const std::string& message,
                       const std::function<void(ProfileData&)>& change) {
    ProfileData data = smallProfileData();
    change(data);
    out.push_back({name + ".profile", ErrorCode::kCorrupt, message, writeProfile(data)});
  };
  using Data = ProfileData;
  const auto block = [](Data& d) -> ProfileBlock& { return d.transforms[0].blocks[1]; };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  add("code_shift", "token codes", [](Data& d) { d.codeShifts[1] = 9; });
  add("transforms_five", "transforms", [](Data& d) { d.transforms.resize(5, d.transforms[0]); });
  add("preset", "preset", [](Data& d) { d.transforms[0].preset = 4; });
  add("step_zero", "step", [](Data& d) { d.transforms[0].step = 0; });
  add("step_infinite", "step", [](Data& d) { d.transforms[0].step = kInfinity; });
  add("own_codes", "codes", [](Data& d) { d.transforms[0].ownCodes = 3; });
  add("block_missing", "do not cover", [](Data& d) { d.transforms[0].blocks.pop_back(); });
  add("component_scale", "scale", [=](Data& d) { block(d).componentScale = -kInfinity; });
  add("mean_infinite", "not finite", [=](Data& d) { block(d).mean[3] = kInfinity; });
  add("scale_zero", "not above 0", [=](Data& d) { block(d).scale[7] = 0; });
  add("map_scale", "map", [=](Data& d) { block(d).mapScale[0] = 0x1.02p30f; });
  add("class_48", "class", [=](Data& d) { block(d).classes[0] = 48; });
  add("component_shift", "shift", [=](Data& d) { block(d).shifts[2] = 9; });
  add("components_three", "components", [=](Data& d) { block(d).shifts.pop_back(); });
  add("block_cuts_head", "head", [=](Data& d) {
    ProfileBlock& b = block(d);
    b.end -= 1;
    for (auto* floats : {&b.mean, &b.scale, &b.mapScale}) floats->pop_back();
    b.maps.resize(b.maps.size() / 8 * 7);
    b.components.resize(b.components.size() / 8 * 7);
  });
  const auto table = [](FrequencyTable& t, uint32_t from, uint32_t to) {
    t.frequency[to] = static_cast<uint16_t>(t.frequency[to] + t.frequency[from]);
    t.frequency[from] = 0;
  };
  add("table_symbol", "symbol", [=](Data& d) { table(d.transforms[0].tables.coarse[9], 81, 82); });
  add("table_escape", "escape", [=](Data& d) { table(d.transforms[0].tables.coarse[9], 81, 80); });
  add("fine_table", "symbol", [=](Data& d) { table(d.transforms[0].tables.fine[47], 40, 41); });
}

inline void profiles(Cases& out) {
  profileFields(out);
  const Bytes good = writeProfile(smallProfileData());
  const auto add = [&](const std::string& name, const std::string& message, const Bytes& bytes,
                       ErrorCode code = ErrorCode::kCorrupt) {
    out.push_back({name + ".profile", code, message, bytes});
  };
  const auto poked = [&](size_t at, int value) {
    Bytes b = good;
    b[at] = static_cast<std::byte>(value);
    sealProfile(b);
    return b;
  };
  add("magic", "not a profile", poked(0, 's'));
  add("version_later", "version 2", poked(8, 2), ErrorCode::kUnsupported);
  add("reserved", "reserved", poked(10, 1));
  add("cut", "length", toBytes(ByteSpan(good).first(good.size() - 1)));
  Bytes longer = good + raw({0});
  add("byte_behind", "length", longer);
  sealProfile(longer);
  add("byte_over", "does not fit", longer);
  Bytes bit = good;
  bit[good.size() / 2] ^= std::byte{1};
  add("checksum", "checksum", bit);
  // Behind the fingerprint: layers 1, run 1, heads 2, dimension 4, rank, wide.
  add("code_rank", "token codes", poked(60, 129));
  add("wide_codes", "token codes", poked(61, 3));
}

}  // namespace spolia::codec::refused
