// Streams kept in tests/golden/codec: what was written once must be read for ever.
//
//   NAME.stream          decodes to NAME.values; a lossy one was made from NAME.input
//   NAME.profile         what streams of `balanced` and `small` were made with
//   sizes.csv            what encoding the inputs by each preset gives today, to the byte; a change
//   is
//                        deliberate
//   refused/NAME.stream  must be refused with the code and words of refused.csv, as profiles there
//
// New ones are written by
//   codec_tests --gtest_also_run_disabled_tests --gtest_filter=Golden.DISABLED_Write
// which leaves existing streams alone and writes the two lists anew.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/codec/golden_cases.h"
#include "tests/codec/golden_kv.h"
#include "tests/codec/golden_lossy_cases.h"
#include "tests/codec/refused_cases.h"
#include "tests/codec/refused_lossy_cases.h"

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

std::shared_ptr<const Profile> readProfile(const std::string& name) {
  if (name.empty()) return nullptr;
  return Profile::parse(readFile(kDirectory / (name + ".profile"))).value();
}

// Null when no golden profile has this id.
std::shared_ptr<const Profile> profileOfId(const Sha256Digest& id) {
  for (const GoldenProfile& golden : goldenProfiles()) {
    const auto profile = readProfile(golden.name);
    if (profile->id() == id) return profile;
  }
  return nullptr;
}

std::filesystem::path refusedFile(const std::string& name) {
  return kDirectory / "refused" / (name.ends_with(".profile") ? name : name + ".stream");
}

GoldenKv inputOf(const GoldenCase& golden) {
  GoldenKv kv(golden.layers, golden.tokens, golden.type);
  const char* what = golden.preset == Preset::kLossless ? "values" : "input";
  EXPECT_TRUE(kv.assign(readFile(fileOf(golden, what)))) << "length of " << what;
  return kv;
}

// Bit-equal, or by learnt transforms at most one step of the type apart: FORMAT.md.
void expectValues(const GoldenCase& golden, const Bytes& got, const Bytes& expected) {
  ASSERT_EQ(got.size(), expected.size());
  if (golden.profile.empty()) {
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

// Rows of sizes.csv: by each preset that can hold the values.
std::vector<std::vector<std::string>> sizesOf(const GoldenCase& golden) {
  std::vector<std::vector<std::string>> out;
  GoldenKv kv = inputOf(golden);
  const auto profile = readProfile(golden.profile);
  for (const GoldenCase& encoding : goldenEncodings(golden)) {
    const bool lossy = encoding.preset == Preset::kBalanced || encoding.preset == Preset::kSmall;
    const Result<Bytes> stream = encodeGolden(encoding, kv, lossy ? profile.get() : nullptr);
    EXPECT_TRUE(stream.ok()) << golden.name << ": " << stream.status().toString();
    if (!stream.ok()) continue;
    out.push_back({golden.name, std::string(presetName(encoding.preset)),
                   std::to_string(kv.dense().size()), std::to_string(stream->size())});
  }
  return out;
}

std::string joined(const std::vector<std::string>& row) {
  std::string out;
  for (const std::string& field : row) out += (out.empty() ? "" : ",") + field;
  return out;
}

// How a stream fails on its way to values: when it is verified, or when it is decoded.
Status outcome(ByteSpan stream) {
  SPOLIA_ASSIGN_OR_RETURN(const StreamHeader header, verifyStream(stream));
  GoldenKv out(header.layers, header.tokens(), header.elementType);
  return decodeStream(stream, header, {}, out.target(), profileOfId(header.profile).get());
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
    const auto profile = readProfile(golden.profile);
    EXPECT_EQ(header->profile, profile ? profile->id() : Sha256Digest{});
    GoldenKv out(golden.layers, golden.tokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *header, {}, out.target(), profile.get()).ok());
    expectValues(golden, out.dense(), readFile(fileOf(golden, "values")));
  }
}

// An encoder that gets better or worse shows here; then run DISABLED_Write and say why.
TEST(Golden, EncodingGivesTheRecordedSizes) {
  std::set<std::string> recorded;
  for (const auto& row : readCsv(kDirectory / "sizes.csv")) recorded.insert(joined(row));
  std::set<std::string> now;
  for (const GoldenCase& golden : goldenCases()) {
    for (const auto& row : sizesOf(golden)) now.insert(joined(row));
  }
  EXPECT_EQ(now, recorded);
}

TEST(Golden, DamagedStreamsAreRefusedAndWhyIsNamed) {
  std::set<std::string> listed;
  for (const auto& row : readCsv(kDirectory / "refused.csv")) {
    ASSERT_EQ(row.size(), 3u);
    SCOPED_TRACE(row[0]);
    const std::filesystem::path file = refusedFile(row[0]);
    listed.insert(file.filename());
    const Bytes bytes = readFile(file);
    const Status status =
        file.extension() == ".profile" ? Profile::parse(bytes).status() : outcome(bytes);
    EXPECT_EQ(errorCodeName(status.code()), row[1]) << status.toString();
    EXPECT_NE(status.message().find(row[2]), std::string::npos) << status.toString();
  }
  for (const auto& file : std::filesystem::directory_iterator(kDirectory / "refused")) {
    EXPECT_TRUE(listed.contains(file.path().filename())) << file.path() << " is not listed";
  }
}

// Nothing wrong: what the refused ones are made of is good.
TEST(Golden, TheUndamagedStreamsAndProfileAreGood) {
  for (Preset preset : {Preset::kLossless, Preset::kHigh}) {
    const Status status = outcome(smallRawStream(preset).bytes());
    EXPECT_TRUE(status.ok()) << status.toString();
  }
  for (const char* name : {"profile_planes", "profile_whole"}) {
    const refused::LossyParts parts(readProfile(name));
    const Status status = outcome(assembleStream(parts.header, parts.frames));
    EXPECT_TRUE(status.ok()) << status.toString();
  }
  EXPECT_TRUE(Profile::parse(writeProfile(refused::smallProfileData())).ok());
  Bytes one = raw({7, 7, 0});
  for (int i = 0; i < 32; ++i) one = one + raw({0, 0, 1, 0});
  EXPECT_TRUE(outcome(ransStream(one).bytes()).ok());
}

TEST(Golden, DISABLED_Write) {
  for (const GoldenProfile& golden : goldenProfiles()) {
    writeOnce(kDirectory / (golden.name + ".profile"),
              writeProfile(madeUpProfileData(golden.recipe)));
  }
  std::ofstream sizes(kDirectory / "sizes.csv");
  sizes << "name,preset,value bytes,stream bytes\n";
  for (const GoldenCase& golden : goldenCases()) {
    const auto profile = readProfile(golden.profile);
    GoldenKv kv = std::filesystem::exists(fileOf(golden, "values"))
                      ? inputOf(golden)
                      : makeGoldenInput(golden, profile.get());
    if (golden.preset != Preset::kLossless) writeOnce(fileOf(golden, "input"), kv.dense());
    const Bytes stream = encodeGolden(golden, kv, profile.get()).value();
    GoldenKv out(golden.layers, golden.tokens, golden.type);
    ASSERT_TRUE(decodeStream(stream, *parseHeader(stream), {}, out.target(), profile.get()).ok());
    writeOnce(fileOf(golden, "stream"), stream);
    writeOnce(fileOf(golden, "values"), out.dense());
    for (const auto& row : sizesOf(golden)) sizes << joined(row) << '\n';
  }
  std::filesystem::create_directories(kDirectory / "refused");
  std::ofstream refused(kDirectory / "refused.csv");
  refused << "name,code,message\n"
             "first_chunk_id_bit,corrupt,checksum\nfirst_frame_bit,corrupt,frame 3\n"
             "first_newer_version,unsupported,version 2\nfirst_other_file,corrupt,not a KV stream\n"
             "first_truncated,corrupt,stream: \n";
  std::vector<RefusedCase> cases = refusedCases();
  refused::lossyStreams(cases, readProfile("profile_planes"), readProfile("profile_whole"));
  refused::profiles(cases);
  for (const RefusedCase& c : cases) {
    writeOnce(refusedFile(c.name), c.stream);
    refused << c.name << ',' << errorCodeName(c.code) << ',' << c.message << '\n';
  }
}

}  // namespace
}  // namespace spolia::codec
