// The container: what is in a file, and that nothing else gets through.
#include "engine/gguf/gguf_file.h"

#include "engine/gguf/ggml_types.h"
#include "engine/gguf/gguf_fields.h"
#include "tests/engine/gguf/gguf_writer.h"
#include "tests/engine/model/model_dir.h"

namespace spolia::engine {
namespace {

using test::GgufWriter;

constexpr uint32_t kF32 = 0, kQ8_0 = 8;

Result<GgufFile> parse(const Bytes& bytes) {
  return parseGguf(bytes, "x.gguf");
}

Bytes floats(size_t count) {
  Bytes out(4 * count);
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::byte(i & 63);
  return out;
}

GgufWriter sound() {
  GgufWriter out;
  out.add("general.architecture", "llama").add("a.count", 7u).add("a.flag", true);
  out.add("a.list", std::vector<std::string>{"x", "", "yz"});
  out.tensor("one", kF32, {3, 2}, floats(6)).tensor("two", kQ8_0, {32}, Bytes(34));
  return out;
}

template <typename T>
Bytes bytesOf(T value) {
  Bytes out(sizeof value);
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

TEST(GgufFile, ReadsValuesAndTensors) {
  const Bytes bytes = sound().make();
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status().toString();
  const GgufFields fields(*file, "x.gguf");
  EXPECT_EQ(*fields.string("general.architecture"), "llama");
  EXPECT_EQ(*fields.integer("a.count", 0, 10), 7u);
  EXPECT_EQ(*fields.boolean("a.flag"), true);
  EXPECT_EQ(*fields.strings("a.list", 3), (std::vector<std::string_view>{"x", "", "yz"}));
  ASSERT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(file->tensors[0].name, "one");
  EXPECT_EQ(file->tensors[0].dimensions, (std::vector<uint64_t>{3, 2}));
  EXPECT_EQ(toBytes(file->tensors[0].bytes), floats(6));
  EXPECT_EQ(file->tensors[1].type, TensorType::kQ8_0);
  EXPECT_EQ(file->tensors[1].bytes.size(), 34u);
}

TEST(GgufFile, ReadsNumbersOfEveryType) {
  GgufWriter writer;
  writer.addRaw("u8", 0, bytesOf<uint8_t>(200)).addRaw("i8", 1, bytesOf<int8_t>(-3));
  writer.addRaw("u16", 2, bytesOf<uint16_t>(60000)).addRaw("i16", 3, bytesOf<int16_t>(7));
  writer.addRaw("u32", 4, bytesOf<uint32_t>(4000000000)).addRaw("i32", 5, bytesOf<int32_t>(9));
  writer.addRaw("u64", 10, bytesOf<uint64_t>(5)).addRaw("i64", 11, bytesOf<int64_t>(6));
  writer.addRaw("big", 10, bytesOf<uint64_t>(uint64_t{1} << 63));
  writer.addRaw("f32", 6, bytesOf(0.5f)).addRaw("f64", 12, bytesOf(0.1));
  const Bytes bytes = writer.make();
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status().toString();
  const GgufFields fields(*file, "x.gguf");
  const std::pair<const char*, uint32_t> integers[] = {
      {"u8", 200}, {"u16", 60000}, {"i16", 7}, {"u32", 4000000000},
      {"i32", 9},  {"u64", 5},     {"i64", 6}};
  for (const auto& [key, value] : integers) EXPECT_EQ(*fields.integer(key, 0, UINT32_MAX), value);
  EXPECT_EQ(*fields.number("f32", 0, 1), 0.5);
  EXPECT_EQ(*fields.number("f64", 0, 1), 0.1);
  EXPECT_EQ(*fields.number("i8", -5, 5), -3);
  expectError(fields.integer("i8", 0, 9), {"x.gguf: i8 is -3", "an integer from 0 to 9"});
  expectError(fields.integer("big", 0, 9), {"x.gguf: big is 9223372036854775808"});
  expectError(fields.integer("f32", 0, 9), {"f32 is 0.5"});
  expectError(fields.integer("none", 0, 9), {"none is missing"});
  EXPECT_EQ(*fields.integer("none", 0, 9, 4), 4u);
  expectError(fields.strings("u8", 9), {"u8 is 200", "an array of at most 9 x string"});
}

TEST(GgufFile, EveryShorterFileIsRefused) {
  const Bytes whole = sound().make();
  // Without the padding behind the last tensor it is still whole.
  const size_t end = whole.size() - 30;
  for (size_t size = 0; size < end; ++size) {
    const auto file = parseGguf(ByteSpan(whole).first(size), "x.gguf");
    ASSERT_FALSE(file.ok()) << size;
    ASSERT_EQ(file.status().code(), ErrorCode::kCorrupt) << size << file.status().toString();
    ASSERT_TRUE(file.status().message().starts_with("x.gguf: ")) << file.status().toString();
  }
  EXPECT_TRUE(parseGguf(ByteSpan(whole).first(end), "x.gguf").ok());
}

TEST(GgufFile, RefusesOtherContainers) {
  Bytes bytes = sound().make();
  bytes[0] = std::byte{'S'};
  expectError(parse(bytes), {"expected a GGUF file"});
  GgufWriter old = sound();
  old.version = 2;
  EXPECT_EQ(parse(old.make()).status().code(), ErrorCode::kUnsupported);
  expectError(parse(old.make()), {"version 2", "expected version 3"});
  old.version = 0x03000000;
  expectError(parse(old.make()), {"big-endian"});
}

TEST(GgufFile, RefusesLengthsBeyondTheFile) {
  for (const uint64_t count : {uint64_t{5}, uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX}) {
    GgufWriter tensors = sound();
    tensors.tensorCount = count;
    EXPECT_EQ(parse(tensors.make()).status().code(), ErrorCode::kCorrupt) << count;
    GgufWriter values = sound();
    values.valueCount = count;
    expectError(
        parse(values.make()),
        {count < 6 ? "x.gguf" : "and " + std::to_string(count) + " keys, expected at most"});
    GgufWriter text = sound();
    text.addRaw("s", 8, bytesOf(count));
    expectError(parse(text.make()), {"x.gguf", "s", "end of the file"});
    for (const uint32_t type : {0u, 5u, 8u, 12u}) {
      ByteWriter array;
      array.u32(type);
      array.u64(count << 8 | 1);
      GgufWriter list = sound();
      list.addRaw("list", 9, array.view());
      EXPECT_FALSE(parse(list.make()).ok()) << count << " of " << type;
    }
  }
}

TEST(GgufFile, RefusesValuesThatAreNone) {
  GgufWriter twice = sound();
  expectError(parse(twice.add("a.count", 8u).make()), {"a.count", "twice"});
  expectError(parse(sound().add("", 8u).make()), {"key 4 is \"\"", "printable"});
  expectError(parse(sound().add("a b", 8u).make()), {"\"a b\"", "printable"});
  expectError(parse(sound().addRaw("t", 13, Bytes(8)).make()), {"t is of type 13"});
  expectError(parse(sound().addRaw("t", 7, bytesOf<uint8_t>(2)).make()), {"t is a bool"});
  ByteWriter nested;
  nested.u32(9);
  nested.u64(0);
  const auto arrays = parse(sound().addRaw("t", 9, nested.view()).make());
  EXPECT_EQ(arrays.status().code(), ErrorCode::kUnsupported);
  expectError(arrays, {"t is an array of arrays"});
}

TEST(GgufFile, Alignment) {
  GgufWriter wide = sound();
  wide.alignment = 128;
  wide.add("general.alignment", 128u);
  EXPECT_TRUE(parse(wide.make()).ok());
  for (const uint32_t wrong : {0u, 4u, 33u, 48u, 1u << 31}) {
    expectError(parse(sound().add("general.alignment", wrong).make()),
                {"general.alignment is " + std::to_string(wrong), "a power of two from 8"});
  }
  expectError(parse(sound().add("general.alignment", "32").make()),
              {"general.alignment is no u32"});
  // Another than the one the data are laid out by.
  expectError(parse(sound().add("general.alignment", 64u).make()), {"expected"});
}

TEST(GgufFile, DataCoverTheFile) {
  const Bytes one = floats(8);
  const auto two = [&](int64_t first, int64_t second) {
    GgufWriter writer;
    writer.tensor("one", kF32, {8}, one, first).tensor("two", kF32, {8}, one, second);
    return parse(writer.make());
  };
  EXPECT_TRUE(two(0, 32).ok());
  EXPECT_TRUE(two(32, 0).ok()) << "in any order";
  expectError(two(0, 0), {"begins at byte 0", "expected 32"});
  expectError(two(0, 16), {"\"two\" begins at byte 16", "expected 32"});
  expectError(two(0, 64), {"\"two\" begins at byte 64", "no hole"});
  expectError(two(32, 64), {"\"one\" begins at byte 32", "expected 0"});
  expectError(two(0, INT64_MAX), {"begins at byte"});
  Bytes more = sound().make();
  more.resize(more.size() + 32);
  expectError(parse(more), {"its data end at byte 66", "128"});
  GgufWriter none;
  none.add("a", 1u);
  EXPECT_TRUE(parse(none.make()).ok());
  more = none.make();
  more.resize(more.size() + 1);
  EXPECT_FALSE(parse(more).ok());
}

TEST(GgufFile, RefusesTensorsThatAreNone) {
  const auto with = [](std::string_view name, uint32_t type, std::vector<uint64_t> dimensions) {
    return parse(sound().tensor(name, type, std::move(dimensions), floats(8)).make());
  };
  expectError(with("one", kF32, {8}), {"\"one\" stands there twice"});
  expectError(with("", kF32, {8}), {"tensor 2 has the name \"\""});
  expectError(with(std::string(65, 'n'), kF32, {8}), {"1 to 64 bytes"});
  expectError(with("\xff", kF32, {8}), {"UTF-8"});
  expectError(with("t", kF32, {}), {"\"t\" has 0 dimensions", "1 to 4"});
  expectError(with("t", kF32, {1, 1, 1, 1, 1}), {"has 5 dimensions"});
  expectError(with("t", kF32, {8, 0}), {"[8, 0]", "none of 0"});
  expectError(with("t", kQ8_0, {33}), {"[33]", "whole blocks of Q8_0"});
  const uint64_t huge = uint64_t{1} << 62;
  expectError(with("t", kF32, {huge}), {"fewer than 2^64 bytes"});
  expectError(with("t", kF32, {1u << 31, 1u << 31, 8}), {"fewer than 2^64 bytes"});
  expectError(with("t", kF32, {huge - 1}), {"end of the file"});
  expectError(with("t", kF32, {9, 8}), {"tensor \"t\", of 288 bytes,", "end of the file"});
}

TEST(GgufFile, NamesTypesThatItDoesNotRead) {
  const std::pair<uint32_t, const char*> types[] = {{6, "Q5_0"},   {13, "Q5_K"}, {16, "IQ2_XXS"},
                                                    {39, "MXFP4"}, {28, "F64"},  {4, "4"},
                                                    {1000, "1000"}};
  for (const auto& [number, name] : types) {
    EXPECT_EQ(ggmlTypeName(number), name);
    const auto file = parse(sound().tensor("t", number, {256}, Bytes(512)).make());
    EXPECT_EQ(file.status().code(), ErrorCode::kUnsupported) << name;
    expectError(file, {"tensor \"t\" is of type " + std::string(name) + ",",
                       "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K"});
  }
}

}  // namespace
}  // namespace spolia::engine
