// Streams that have to be refused: a small good one, written field by field, with one thing wrong
// in it. Checksums are right unless they are what is wrong, so that the damage reaches what lies
// behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/codec/golden_kv.h"

namespace spolia::codec {

// The fields of a header after the prefix, by name, and the frames.
struct RawStream {
  struct Field {
    std::string name;
    Bytes bytes;
  };
  std::string magic = "SPOLIAKV";
  uint16_t version = kStreamVersion;
  uint16_t reserved = 0;
  std::vector<Field> fields;
  std::vector<Bytes> frames;
  Bytes sides;
  int64_t headerLengthOff = 0;  // added to the right ones
  int64_t streamLengthOff = 0;
  uint64_t checksumOff = 0;

  Bytes& operator[](const std::string& name) {
    for (Field& field : fields) {
      if (field.name == name) return field.bytes;
    }
    return fields.emplace_back(Field{name, {}}).bytes;
  }
  // Sizes and checksums as the frames are now.
  void seal();
  Bytes bytes() const;
};

inline Bytes raw(std::initializer_list<int> values) {
  Bytes out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}
template <typename T>
Bytes rawNumber(T value) {
  ByteWriter out;
  out.write(value);
  return out.take();
}
inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline void RawStream::seal() {
  const Bytes& id = (*this)["chunk id"];
  ChunkId chunkId;
  std::memcpy(chunkId.bytes.data(), id.data(), id.size());
  Bytes sizes, sums;
  for (size_t i = 0; i < frames.size(); ++i) {
    sizes = sizes + rawNumber(static_cast<uint32_t>(frames[i].size()));
    sums = sums + rawNumber(xxh3(frames[i], partSeed(chunkId, i)));
  }
  (*this)["frame sizes"] = sizes;
  (*this)["frame checksums"] = sums;
}

inline Bytes RawStream::bytes() const {
  Bytes rest;
  for (const Field& field : fields) rest = rest + field.bytes;
  Bytes body;
  for (const Bytes& frame : frames) body = body + frame;
  body = body + sides;
  ByteWriter out;
  out.bytes(asBytes(magic));
  out.u16(version);
  out.u16(reserved);
  out.u32(static_cast<uint32_t>(static_cast<int64_t>(kHeaderPrefixBytes + rest.size()) +
                                headerLengthOff));
  out.u64(static_cast<uint64_t>(
      static_cast<int64_t>(kHeaderPrefixBytes + rest.size() + body.size()) + streamLengthOff));
  out.u64(xxh3(rest, xxh3(out.view())) + checksumOff);
  out.bytes(rest);
  out.bytes(body);
  return out.take();
}

// Three tokens, one layer of two channels, f16: one frame of two planes, of raw blocks; or of steps
// of 1, offsets of 1 and -1, and zeros.
inline RawStream smallRawStream(Preset preset = Preset::kLossless) {
  ChunkIdentity identity;
  identity.fingerprint.bytes.fill(std::byte{9});
  identity.tokens = {1, 300, UINT32_MAX};
  RawStream s;
  s["chunk id"] = toBytes(chunkIdOf(identity).span());
  s["fingerprint"] = toBytes(identity.fingerprint.span());
  s["parent"] = raw({0});
  s["compile mode"] = raw({0});
  s["modality"] = raw({0});
  s["rows"] = raw({3});
  s["token ids"] = raw({1, 0xac, 2, 0xff, 0xff, 0xff, 0xff, 0x0f});
  s["element type"] = raw({1});
  s["k_form"] = raw({0});
  s["first position"] = raw({0});
  s["preset"] = raw({static_cast<int>(preset)});
  s["levels"] = raw({1});
  s["profile"] = raw({0});
  s["token group"] = raw({3});
  s["layers"] = raw({1});
  s["shapes"] = raw({1, 1, 2});
  s["plane groups"] = raw({1, 2, 0, 1});
  const Bytes block = raw({0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6});
  const Bytes scales = raw({0x80, 0x3f, 2, 1, 16});
  s.frames = {preset == Preset::kLossless
                  ? raw({1}) + raw({0}) + block + block + raw({1, 7, 8}) + block + block
                  : raw({4}) + scales + scales + raw({0})};
  s.seal();
  s["side sections"] = raw({0});
  return s;
}

// A rANS block with this body in place of the first block.
inline RawStream ransStream(const Bytes& body) {
  RawStream s = smallRawStream();
  const Bytes constant = raw({1, 1, 0, 0, 0, 128});
  s.frames = {raw({1, 0, 2}) + rawNumber(static_cast<uint32_t>(body.size())) + body + constant +
              raw({0}) + constant + constant};
  s.seal();
  return s;
}

struct RefusedCase {
  std::string name;
  ErrorCode code = ErrorCode::kCorrupt;
  std::string message;  // part of what is said
  Bytes stream;
};

std::vector<RefusedCase> refusedCases();

namespace refused {

using Cases = std::vector<RefusedCase>;
using Change = std::function<void(RawStream&)>;

inline void add(Cases& out, const std::string& name, const std::string& message,
                const Change& change, ErrorCode code = ErrorCode::kCorrupt,
                Preset preset = Preset::kLossless) {
  RawStream s = smallRawStream(preset);
  change(s);
  out.push_back({name, code, message, s.bytes()});
}

// `field` holds `bytes` instead.
inline void set(Cases& out, const std::string& name, const std::string& message,
                const std::string& field, const Bytes& bytes,
                ErrorCode code = ErrorCode::kCorrupt) {
  add(
      out, name, message, [&](RawStream& s) { s[field] = bytes; }, code);
}

inline void prefixes(Cases& out) {
  const ErrorCode later = ErrorCode::kUnsupported;
  add(out, "magic", "not a KV stream", [](RawStream& s) { s.magic = "SPOLIAKW"; });
  add(
      out, "version_later", "version 2", [](RawStream& s) { s.version = 2; }, later);
  add(out, "version_zero", "version", [](RawStream& s) { s.version = 0; });
  add(out, "reserved", "reserved", [](RawStream& s) { s.reserved = 1; });
  add(out, "header_checksum", "checksum", [](RawStream& s) { s.checksumOff = 1; });
  add(out, "header_length_short", "checksum", [](RawStream& s) { s.headerLengthOff = -1; });
  add(out, "header_length_none", "header length", [](RawStream& s) {
    for (auto& field : s.fields) s.headerLengthOff -= static_cast<int64_t>(field.bytes.size());
  });
  add(out, "header_length_huge", "header length",
      [](RawStream& s) { s.headerLengthOff = (4 << 20) + 1; });
  add(out, "header_byte_over", "length does not fit", [](RawStream& s) {
    s["side sections"] = raw({0, 0});
  });
  add(out, "stream_length_short", "do not fill", [](RawStream& s) { s.streamLengthOff = -1; });
  add(out, "stream_length_long", "do not fill", [](RawStream& s) { s.streamLengthOff = 1; });
  add(out, "stream_length_huge", "do not fill",
      [](RawStream& s) { s.streamLengthOff = INT64_MAX / 2; });
  out.push_back({"empty", ErrorCode::kCorrupt, "cut off", {}});
}

// The header ends after each of its fields; length and checksum are those of such a header.
inline void cutFields(Cases& out) {
  const RawStream whole = smallRawStream();
  for (size_t count = 1; count < whole.fields.size(); ++count) {
    RawStream s = whole;
    s.fields.resize(count);
    std::string name = "cut_after_" + whole.fields[count - 1].name;
    std::replace(name.begin(), name.end(), ' ', '_');
    out.push_back({name, ErrorCode::kCorrupt, "cut off", s.bytes()});
  }
  const Bytes stream = whole.bytes();
  const auto cut = [&](const std::string& name, size_t size, const std::string& message) {
    out.push_back({name, ErrorCode::kCorrupt, message, toBytes(ByteSpan(stream).first(size))});
  };
  cut("cut_in_prefix", 31, "cut off");
  cut("cut_after_prefix", 32, "cut off");
  cut("cut_after_header", stream.size() - whole.frames[0].size(), "stream: ");
  cut("cut_last_byte", stream.size() - 1, "stream: ");
  out.push_back({"byte_behind", ErrorCode::kCorrupt, "stream: ", stream + raw({0})});
}

inline void identities(Cases& out) {
  add(out, "chunk_id", "chunk id", [](RawStream& s) {
    s["chunk id"][31] ^= std::byte{1};
    s.seal();
  });
  set(out, "fingerprint", "chunk id", "fingerprint", Bytes(32, std::byte{8}));
  set(out, "parent_flag", "parent", "parent", raw({2}));
  set(out, "parent_added", "chunk id", "parent", raw({1}) + Bytes(32, std::byte{1}));
  set(out, "compile_mode", "compile mode", "compile mode", raw({3}));
  set(out, "modality", "modality", "modality", raw({2}));
  set(out, "rows_zero", "number of rows", "rows", raw({0}));
  set(out, "rows_over_limit", "number of rows", "rows", raw({0x81, 0x80, 0x04}));
  set(out, "rows_over_32_bits", "number of rows", "rows", raw({0x83, 0x80, 0x80, 0x80, 0x10}));
  set(out, "rows_endless", "number of rows", "rows", raw({0x80, 0x80, 0x80, 0x80, 0x80, 1}));
  set(out, "rows_padded", "number of rows", "rows", raw({0x83, 0}));
  set(out, "rows_more_than_bytes", "token ids", "rows", raw({0x80, 0x80, 0x04}));
  set(out, "token_over_32_bits", "token ids", "token ids",
      raw({1, 0xac, 2, 0xff, 0xff, 0xff, 0xff, 0x1f}));
  set(out, "token_other", "chunk id", "token ids", raw({2, 0xac, 2, 0xff, 0xff, 0xff, 0xff, 0x0f}));
}

inline void codings(Cases& out) {
  const ErrorCode later = ErrorCode::kUnsupported;
  set(out, "element_type", "element type", "element type", raw({3}));
  set(out, "k_form", "k_form", "k_form", raw({2}));
  set(out, "position_of_pre_rope", "first position", "first position", raw({1}));
  set(out, "preset_unknown", "preset 4", "preset", raw({4}), later);
  set(out, "preset_balanced", "coding", "preset", raw({2}), later);
  set(out, "preset_small", "coding", "preset", raw({3}), later);
  set(out, "preset_of_other_coding", "coding", "preset", raw({1}), later);
  set(out, "levels_zero", "levels", "levels", raw({0}));
  set(out, "levels_over_limit", "levels", "levels", raw({17}));
  set(out, "profile_flag", "profile", "profile", raw({2}));
  set(out, "profile_zero", "profile", "profile", raw({1}) + Bytes(32));
  set(out, "profile_unknown", "profile", "profile", raw({1}) + Bytes(32, std::byte{7}), later);
  set(out, "token_group_zero", "token group", "token group", raw({0}));
  set(out, "token_group_over_limit", "token group", "token group", raw({0x81, 0x80, 0x04}));
}

inline void shapesAndTables(Cases& out) {
  const ErrorCode later = ErrorCode::kUnsupported;
  set(out, "layers_none", "layers", "layers", raw({0}));
  set(out, "layers_over_limit", "layers", "layers", raw({0x81, 0x08}));
  set(out, "layer_run_zero", "layer shapes", "shapes", raw({0, 1, 2}));
  set(out, "layer_run_long", "layer shapes", "shapes", raw({2, 1, 2}));
  set(out, "channels_none", "channels", "shapes", raw({1, 0, 2}));
  set(out, "channels_over_limit", "channels", "shapes", raw({1, 1, 0x81, 0x80, 0x01}));
  set(out, "channels_overflow", "channels", "shapes", raw({1, 0x80, 0x80, 0x04, 0x80, 0x80, 0x04}));
  set(out, "groups_none", "plane groups", "plane groups", raw({0}));
  set(out, "groups_too_many", "plane groups", "plane groups", raw({3, 1, 0, 1, 1, 1, 0}));
  set(out, "group_empty", "plane groups", "plane groups", raw({2, 0, 2, 0, 1}));
  set(out, "plane_twice", "plane groups", "plane groups", raw({1, 2, 0, 0}));
  set(out, "plane_missing", "plane groups", "plane groups", raw({1, 1, 0}));
  set(out, "plane_unknown", "plane groups", "plane groups", raw({1, 2, 0, 2}));
  set(out, "frames_more_than_table", "frame table", "token group", raw({1}));
  set(out, "frames_times_levels", "frame table", "levels", raw({16}));
  // Offsets follow from sizes: a frame can neither overlap another nor lie outside, but its size
  // may claim what belongs to what follows.
  const Bytes size = smallRawStream()["frame sizes"];
  set(out, "frame_size_over", "do not fill", "frame sizes",
      raw({std::to_integer<int>(size[0]) + 1, 0, 0, 0}));
  set(out, "frame_size_under", "do not fill", "frame sizes",
      raw({std::to_integer<int>(size[0]) - 1, 0, 0, 0}));
  set(out, "frame_size_outside", "do not fill", "frame sizes", Bytes(4, std::byte{0xff}));
  set(out, "frame_checksum", "frame 0", "frame checksums", Bytes(8));
  set(out, "side_sections_too_many", "side sections", "side sections",
      raw({0xff, 0xff, 0xff, 0xff, 0x0f}));
  set(out, "side_section_type", "side sections", "side sections", raw({1, 0x80, 0}) + Bytes(12));
  set(out, "side_section_outside", "do not fill", "side sections",
      raw({1, 7, 9, 0, 0, 0}) + Bytes(8));
  add(out, "side_section_checksum", "side section 0", [](RawStream& s) {
    s["side sections"] = raw({1, 7, 4, 0, 0, 0}) + Bytes(8);
    s.sides = raw({1, 2, 3, 4});
  });
  add(
      out, "levels_two", "levels",
      [](RawStream& s) {
        s["levels"] = raw({2});
        s.frames.push_back(s.frames[0]);
        s.seal();
      },
      later);
}

inline void framesAndBlocks(Cases& out) {
  const auto frame = [&](const std::string& name, const std::string& message, Preset preset,
                         const std::function<Bytes(Bytes)>& change,
                         ErrorCode code = ErrorCode::kCorrupt) {
    add(
        out, name, message,
        [&](RawStream& s) {
          s.frames[0] = change(s.frames[0]);
          s.seal();
        },
        code, preset);
  };
  const auto poke = [](size_t at, int value) {
    return [=](Bytes b) {
      b[at] = static_cast<std::byte>(value);
      return b;
    };
  };
  const Preset lossless = Preset::kLossless;
  frame("frame_empty", "empty", lossless, [](Bytes) { return Bytes(); });
  frame("frame_coding", "coding 9", lossless, poke(0, 9), ErrorCode::kUnsupported);
  frame("frame_byte_over", "left over", lossless, [](Bytes b) { return b + raw({0}); });
  frame("frame_cut", "cut off", lossless, [](Bytes b) {
    b.pop_back();
    return b;
  });
  frame("planes_form", "form", lossless, poke(1, 2));
  frame("block_mode", "unknown mode", lossless, poke(2, 3));
  frame("block_length_over", "length", lossless, poke(3, 7));
  frame("block_length_huge", "cut off", lossless, poke(6, 0xff));
  frame("block_constant_of_six", "length", lossless, poke(2, 1));
  frame("bases_cut", "cut off", lossless, [](Bytes) { return raw({1, 1, 7}); });
}

// Of `high`: a frame is coding, then for K and for V a step, two offsets and a class, then a form.
inline void scaledFrames(Cases& out) {
  const ErrorCode later = ErrorCode::kUnsupported;
  const auto frame = [&](const std::string& name, const std::string& message, const Bytes& bytes,
                         ErrorCode code = ErrorCode::kCorrupt) {
    add(
        out, "scaled_" + name, message,
        [&](RawStream& s) {
          s.frames[0] = bytes;
          s.seal();
        },
        code, Preset::kHigh);
  };
  const Bytes good = raw({0x80, 0x3f, 2, 1, 16});
  const auto withKey = [&](const Bytes& key) { return raw({4}) + key + good + raw({0}); };
  frame("eight_bits", "coding 2", raw({2}) + good + good + raw({0}), later);
  frame("coding_3", "coding 3", raw({3}) + good + good + raw({0}), later);
  frame("empty", "empty", {});
  frame("step_zero", "step", withKey(raw({0, 0, 2, 1, 16})));
  frame("step_negative", "step", withKey(raw({0x80, 0xbf, 2, 1, 16})));
  frame("step_infinite", "step", withKey(raw({0x80, 0x7f, 2, 1, 16})));
  frame("step_nan", "step", withKey(raw({0xc1, 0x7f, 2, 1, 16})));
  frame("offset_large", "offset", withKey(raw({0x80, 0x3f, 0x82, 0x80, 0x80, 0x04, 1, 16})));
  frame("offset_low", "offset", withKey(raw({0x80, 0x3f, 0x81, 0x80, 0x80, 0x04, 1, 16})));
  frame("offset_padded", "offset", withKey(raw({0x80, 0x3f, 0x82, 0, 1, 16})));
  frame("class_48", "class", withKey(raw({0x80, 0x3f, 2, 1, 48})));
  frame("scales_cut", "offset", raw({4}) + good + toBytes(ByteSpan(good).first(3)));
  frame("form_missing", "cut off", raw({4}) + good + good);
  frame("form", "form", raw({4}) + good + good + raw({2}));
  frame("byte_over", "left over", raw({4}) + good + good + raw({0, 0}));
  // Twelve pairs of each plane need more than the states of a payload if they are to be all zero.
  frame("payload_short", "too", raw({4}) + good + good + raw({1, 0}) + Bytes(100));
  const auto header = [&](const std::string& name, const std::function<void(RawStream&)>& change) {
    add(out, "scaled_" + name, "levels", change, later, Preset::kHigh);
  };
  header("profile", [](RawStream& s) { s["profile"] = raw({1}) + Bytes(32, std::byte{7}); });
  header("four_levels", [](RawStream& s) {
    s["levels"] = raw({4});
    s.frames.resize(4, s.frames[0]);
    s.seal();
  });
}

// Level 1 of two: its planes have no offsets; 24 digits of two groups in five bytes.
inline void scaledLevels(Cases& out) {
  const Bytes scales = raw({0x80, 0x3f, 16});
  const Bytes digits = raw({0, 121, 242, 7, 80});
  const auto level = [&](const std::string& name, const std::string& message, const Bytes& bytes) {
    add(
        out, "scaled_" + name, message,
        [&](RawStream& s) {
          s["levels"] = raw({2});
          s.frames.push_back(bytes);
          s.seal();
        },
        ErrorCode::kCorrupt, Preset::kHigh);
  };
  level("digits_cut", "cut off", raw({4}) + scales + scales + toBytes(ByteSpan(digits).first(4)));
  level("digit_243", "above 242", raw({4}) + scales + scales + raw({0, 1, 243, 3, 4, 0}));
  level("level_step", "level before",
        raw({4}) + raw({0x81, 0x3f, 16}) + scales + digits + raw({0}));
  level("level_class", "level before",
        raw({4}) + raw({0x80, 0x3f, 17}) + scales + digits + raw({0}));
  level("level_form", "cut off", raw({4}) + scales + scales + digits);
  level("level_byte_over", "left over", raw({4}) + scales + scales + digits + raw({0, 9}));
}

// Bodies of rANS blocks for six symbols. {7, 7, 0} is the table of one symbol, without bits.
inline void entropy(Cases& out) {
  const auto rans = [&](const std::string& name, const std::string& message, const Bytes& body) {
    out.push_back({"rans_" + name, ErrorCode::kCorrupt, message, ransStream(body).bytes()});
  };
  const Bytes one = raw({7, 7, 0});
  Bytes states;
  for (int i = 0; i < 32; ++i) states = states + raw({0, 0, 1, 0});
  const auto stateOf = [&](uint32_t value) {
    Bytes out_ = states;
    std::memcpy(out_.data(), &value, sizeof value);
    return out_;
  };
  rans("body_empty", "frequency table", {});
  rans("symbols_backwards", "frequency table", raw({8, 7, 0}) + states);
  rans("order", "frequency table", raw({7, 7, 8}) + states);
  rans("code_too_long", "frequency table", raw({7, 8, 0, 0, 0, 0, 0}) + states);
  rans("table_cut", "frequency table", raw({7, 9, 0, 0}));
  // Order 0: zigzag 1 (010 in bits) is a frequency of -1; thirteen zeros, a one and ones exceed
  // 4096.
  rans("frequency_negative", "frequency table", raw({7, 8, 0, 0x02}) + states);
  rans("frequency_over", "frequency table", raw({7, 8, 0, 0x00, 0xe0, 0xff, 0x07}) + states);
  // 4096 at once, zigzag 8192 = 2^13 + 1 - 1: the last symbol has nothing left.
  rans("last_symbol_unused", "frequency table", raw({7, 8, 0, 0x00, 0x60, 0x00, 0x00}) + states);
  rans("states_cut", "too short", one + toBytes(ByteSpan(states).first(127)));
  rans("states_short", "too short", one + toBytes(ByteSpan(states).first(126)));
  rans("payload_odd", "odd", one + states + raw({0}));
  rans("state_small", "state too small", one + stateOf(65535));
  rans("word_left", "do not end", one + states + raw({0, 0}));
  rans("state_not_final", "do not end", one + stateOf(65537));
  // A symbol of frequency 1 takes 12 bits off the state: below 2^16, and no word is left.
  rans("words_exhausted", "do not end", raw({7, 8, 0, 0x06}) + states);
}

}  // namespace refused

inline std::vector<RefusedCase> refusedCases() {
  std::vector<RefusedCase> out;
  refused::prefixes(out);
  refused::cutFields(out);
  refused::identities(out);
  refused::codings(out);
  refused::shapesAndTables(out);
  refused::framesAndBlocks(out);
  refused::scaledFrames(out);
  refused::scaledLevels(out);
  refused::entropy(out);
  return out;
}

}  // namespace spolia::codec
