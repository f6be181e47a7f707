// Streams kept in tests/golden/codec: what was written once must be read for ever.
//
//   NAME.stream          decodes to NAME.values; a lossy one was made from NAME.input
//   sizes.csv            what encoding the inputs gives today, to the byte; a change is deliberate
//   refused/NAME.stream  must be refused with the code and words of refused.csv
//
// New ones are written by
//   codec_tests --gtest_also_run_disabled_tests --gtest_filter=Golden.DISABLED_Write
// which leaves existing streams alone and writes the two lists anew.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/codec/golden_cases.h"
#include "tests/codec/golden_kv.h"
#include "tests/codec/refused_cases.h"

namespace spolia::codec {
namespace {

const std::filesystem::path kDirectory =
    std::filesystem::path(SPOLIA_SOURCE_DIR) / "tests/golden/codec";

Bytes readFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return toBytes(asBytes(text));
}

void writeOnce(const std::filesystem::path& path, ByteSpan bytes) {
  if (std::filesystem::exists(path)) return;
  std::ofstream(path, std::ios::binary) << asText(bytes);
}

// The lines of a CSV file without its first, each as its fields.
std::vector<std::vector<std::string>> readCsv(const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) row.push_back(field);
  }
  return rows;
}

std::filesystem::path fileOf(const GoldenCase& golden, const char* what) {
  return kDirectory / (golden.name + "." + what);
}

GoldenKv inputOf(const GoldenCase& golden) {
  GoldenKv kv(golden.layers, golden.tokens, golden.type);
  const char* what = golden.preset == Preset::kLossless ? "values" : "input";
  EXPECT_TRUE(kv.assign(readFile(fileOf(golden, what)))) << "length of " << what;
  return kv;
}

// Bit-equal, or for a lossy preset at most one step of the type apart: FORMAT.md.
void expectValues(const GoldenCase& golden, const Bytes& got, const Bytes& expected) {
  ASSERT_EQ(got.size(), expected.size());
  if (golden.preset == Preset::kLossless) {
    EXPECT_TRUE(got == expected);
    return;
  }
  const size_t size = elementSize(golden.type);
  for (size_t i = 0; i < got.size(); i += size) {
    uint32_t a = 0;
    uint32_t b = 0;
    std::memcpy(&a, &got[i], size);
    std::memcpy(&b, &expected[i], size);
    ASSERT_LE(a > b ? a - b : b - a, 1u) << "value " << i / size;
  }
}

// How a stream fails on its way to values: when it is verified, or when it is decoded.
Status outcome(ByteSpan stream) {
  SPOLIA_ASSIGN_OR_RETURN(const StreamHeader header, verifyStream(stream));
  GoldenKv out(header.layers, header.tokens(), header.elementType);
  return decodeStream(stream, header, {}, out.target());
}

TEST(Golden, StreamsDecodeToRecordedValues) {
  for (const GoldenCase& golden : goldenCases()) {
    SCOPED_TRACE(golden.name);
    const Bytes stream = readFile(fileOf(golden, "stream"));
    const auto header = verifyStream(stream);
    ASSERT_TRUE(header.ok()) << header.status().toString();
    EXPECT_EQ(header->layers, golden.layers);
    EXPECT_EQ(header->kForm, golden.kForm);
    EXPECT_EQ(header->firstPosition, golden.firstPosition);
    EXPECT_EQ(header->preset, golden.preset);
    EXPECT_EQ(header->identity, goldenIdentity(golden));
    EXPECT_EQ(header->sideSections.size(), golden.sides.size());
    GoldenKv out(golden.layers, golden.tokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *header, {}, out.target()).ok());
    expectValues(golden, out.dense(), readFile(fileOf(golden, "values")));
  }
}

// An encoder that gets better or worse shows here; then run DISABLED_Write and say why.
TEST(Golden, EncodingGivesTheRecordedSizes) {
  std::map<std::string, std::string> sizes;
  for (const auto& row : readCsv(kDirectory / "sizes.csv")) {
    ASSERT_EQ(row.size(), 3u);
    sizes[row[0]] = row[2];
  }
  for (const GoldenCase& golden : goldenCases()) {
    SCOPED_TRACE(golden.name);
    const Result<Bytes> stream = encodeGolden(golden, inputOf(golden));
    ASSERT_TRUE(stream.ok()) << stream.status().toString();
    EXPECT_EQ(std::to_string(stream->size()), sizes[golden.name]);
  }
  EXPECT_EQ(sizes.size(), goldenCases().size()) << "a size without a stream";
}

TEST(Golden, DamagedStreamsAreRefusedAndWhyIsNamed) {
  std::set<std::string> listed;
  for (const auto& row : readCsv(kDirectory / "refused.csv")) {
    ASSERT_EQ(row.size(), 3u);
    SCOPED_TRACE(row[0]);
    listed.insert(row[0] + ".stream");
    const Status status = outcome(readFile(kDirectory / "refused" / (row[0] + ".stream")));
    EXPECT_EQ(errorCodeName(status.code()), row[1]) << status.toString();
    EXPECT_NE(status.message().find(row[2]), std::string::npos) << status.toString();
  }
  for (const auto& file : std::filesystem::directory_iterator(kDirectory / "refused")) {
    EXPECT_TRUE(listed.contains(file.path().filename())) << file.path() << " is not listed";
  }
}

// Nothing wrong: the stream that the refused ones are made of is a good one.
TEST(Golden, TheUndamagedSmallStreamsDecode) {
  for (Preset preset : {Preset::kLossless, Preset::kHigh}) {
    const Status status = outcome(smallRawStream(preset).bytes());
    EXPECT_TRUE(status.ok()) << status.toString();
  }
  Bytes one = raw({7, 7, 0});
  for (int i = 0; i < 32; ++i) one = one + raw({0, 0, 1, 0});
  EXPECT_TRUE(outcome(ransStream(one).bytes()).ok());
}

TEST(Golden, DISABLED_Write) {
  std::ofstream sizes(kDirectory / "sizes.csv");
  sizes << "name,value bytes,stream bytes\n";
  for (const GoldenCase& golden : goldenCases()) {
    GoldenKv kv = std::filesystem::exists(fileOf(golden, "values")) ? inputOf(golden)
                                                                    : makeGoldenInput(golden);
    if (golden.preset != Preset::kLossless) writeOnce(fileOf(golden, "input"), kv.dense());
    const Bytes stream = encodeGolden(golden, kv).value();
    GoldenKv out(golden.layers, golden.tokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *parseHeader(stream), {}, out.target()).ok());
    writeOnce(fileOf(golden, "stream"), stream);
    writeOnce(fileOf(golden, "values"), out.dense());
    sizes << golden.name << ',' << out.dense().size() << ',' << stream.size() << '\n';
  }
  std::filesystem::create_directories(kDirectory / "refused");
  std::ofstream refused(kDirectory / "refused.csv");
  refused << "name,code,message\n"
             "first_chunk_id_bit,corrupt,checksum\nfirst_frame_bit,corrupt,frame 3\n"
             "first_newer_version,unsupported,version 2\nfirst_other_file,corrupt,not a KV stream\n"
             "first_truncated,corrupt,stream: \n";
  for (const RefusedCase& c : refusedCases()) {
    writeOnce(kDirectory / "refused" / (c.name + ".stream"), c.stream);
    refused << c.name << ',' << errorCodeName(c.code) << ',' << c.message << '\n';
  }
}

}  // namespace
}  // namespace spolia::codec
