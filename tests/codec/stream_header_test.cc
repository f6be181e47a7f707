#include "codec/stream_header.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/base/checksum.h"
#include "tests/codec/codec_samples.h"

namespace spolia::codec {
namespace {

// A header with everything in it that the encoder of today does not use.
StreamHeader fullHeader() {
  StreamHeader header;
  header.version = kStreamVersion;
  header.identity = sampleIdentity(10);
  header.identity.parent = ChunkId{sha256(asBytes("parent"))};
  header.identity.mode = CompileMode::kPrefix;
  header.chunkId = chunkIdOf(header.identity);
  header.elementType = ElementType::kBf16;
  header.kForm = KForm::kRotated;
  header.firstPosition = 256;
  header.preset = Preset::kSmall;
  header.profile = Sha256Digest{sha256(asBytes("profile"))};
  header.levels = 3;
  header.tokenGroup = 4;
  header.layers = {{2, 8}, {2, 8}, {1, 16}};
  header.planeGroups = {{{0, Plane::kK}, {2, Plane::kV}},
                        {{1, Plane::kK}, {1, Plane::kV}, {0, Plane::kV}, {2, Plane::kK}}};
  for (uint32_t i = 0; i < 3 * 2 * 3; ++i) header.frames.push_back({0, i * 7, i * 1000});
  header.sideSections = {{5, 0, 100, 1}, {70000, 0, 0, 2}};
  return header;
}

TEST(StreamHeader, EverythingRoundTrips) {
  StreamHeader header = fullHeader();
  const auto bytes = writeHeader(header);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(headerLength(*bytes).value(), bytes->size());
  const auto read = parseHeader(*bytes);
  ASSERT_TRUE(read.ok()) << read.status().toString();
  EXPECT_EQ(read->chunkId, header.chunkId);
  EXPECT_EQ(read->identity, header.identity);
  EXPECT_EQ(read->elementType, header.elementType);
  EXPECT_EQ(read->kForm, header.kForm);
  EXPECT_EQ(read->firstPosition, 256u);
  EXPECT_EQ(read->preset, Preset::kSmall);
  EXPECT_EQ(read->profile, header.profile);
  EXPECT_EQ(read->levels, 3);
  EXPECT_EQ(read->tokenGroup, 4u);
  EXPECT_EQ(read->layers, header.layers);
  EXPECT_EQ(read->planeGroups, header.planeGroups);
  ASSERT_EQ(read->frames.size(), header.frames.size());
  uint64_t offset = bytes->size();
  for (size_t i = 0; i < read->frames.size(); ++i) {
    EXPECT_EQ(read->frames[i].offset, offset);
    EXPECT_EQ(read->frames[i].size, i * 7);
    EXPECT_EQ(read->frames[i].checksum, i * 1000);
    offset += i * 7;
  }
  ASSERT_EQ(read->sideSections.size(), 2u);
  EXPECT_EQ(read->sideSections[1].type, 70000u);
  EXPECT_EQ(read->sideSections[0].offset, offset);
  EXPECT_EQ(read->streamBytes, offset + 100);
}

TEST(StreamHeader, ImagesRoundTrip) {
  StreamHeader header = fullHeader();
  header.identity.tokens.clear();
  header.identity.modality = Modality::kImage;
  header.identity.imageBytes = Sha256Digest{sha256(asBytes("image"))};
  header.identity.imageRows = 10;
  header.chunkId = chunkIdOf(header.identity);
  const auto read = parseHeader(*writeHeader(header));
  ASSERT_TRUE(read.ok()) << read.status().toString();
  EXPECT_EQ(read->identity, header.identity);
}

TEST(StreamHeader, PlacesAreLevelMajorThenGroupThenTokens) {
  const StreamHeader header = fullHeader();
  const FramePlace place = placeOf(header, 2 * 6 + 1 * 3 + 2);
  EXPECT_EQ(place.level, 2u);
  EXPECT_EQ(place.group, 1u);
  EXPECT_EQ(place.tokenBegin, 8u);
  EXPECT_EQ(place.tokenEnd, 10u);
}

// Well-formed bytes with valid checksums that say what cannot be.
TEST(StreamHeader, ContradictionsAreRefused) {
  const auto code = [](auto change) {
    StreamHeader header = fullHeader();
    change(header);
    const auto bytes = writeHeader(header);
    EXPECT_TRUE(bytes.ok());
    return parseHeader(*bytes).status().code();
  };
  EXPECT_EQ(code([](StreamHeader&) {}), ErrorCode::kOk);
  EXPECT_EQ(code([](StreamHeader& h) { h.chunkId.bytes[0] ^= std::byte{1}; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.kForm = KForm::kPreRope; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.levels = 0; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.levels = 4; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.tokenGroup = 0; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.layers[0].headDim = 0; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.layers[2].kvHeads = 1u << 31; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) {
              h.planeGroups[0][0] = {1, Plane::kK};
            }),
            ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.planeGroups[0].pop_back(); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.frames.pop_back(); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code([](StreamHeader& h) { h.version = kStreamVersion + 1; }), ErrorCode::kUnsupported);
  EXPECT_EQ(code([](StreamHeader& h) { h.preset = static_cast<Preset>(4); }),
            ErrorCode::kUnsupported);
}

TEST(StreamHeader, PrefixIsEnoughForTheLength) {
  StreamHeader header = fullHeader();
  const Bytes bytes = writeHeader(header).value();
  EXPECT_EQ(headerLength(ByteSpan(bytes).first(kHeaderPrefixBytes)).value(), header.headerBytes);
  EXPECT_EQ(headerLength(ByteSpan(bytes).first(kHeaderPrefixBytes - 1)).status().code(),
            ErrorCode::kCorrupt);
}

// Frames of the encoder's groups, joined into one group of all planes in an odd order, with a side
// section of a type nobody knows behind them: as a later encoder may write it.
TEST(StreamHeader, ForeignGroupingAndSideSectionsDecode) {
  SampleKv kv(2, {2, 8}, 20, ElementType::kF32);
  kv.fill(3);
  EncodeOptions options;
  options.preset = Preset::kLossless;
  options.tokenGroup = 16;
  const Bytes plain = encodeStream(sampleIdentity(20), kv.layers, kv.view(), options).value();
  StreamHeader header = parseHeader(plain).value();
  const auto frame = [&](uint32_t i) {
    return ByteSpan(plain).subspan(header.frames[i].offset, header.frames[i].size);
  };
  ByteWriter body;
  std::vector<FrameEntry> joined;
  for (uint32_t t = 0; t < 2; ++t) {
    const size_t begin = body.size();
    body.bytes(frame(2 + t));         // layer 1, coding byte included
    body.bytes(frame(t).subspan(1));  // layer 0
    const ByteSpan bytes = body.view().subspan(begin);
    joined.push_back(
        {0, static_cast<uint32_t>(bytes.size()), xxh3(bytes, partSeed(header.chunkId, t))});
  }
  const ByteSpan side = asBytes("summary of clusters");
  StreamHeader foreign = header;
  foreign.planeGroups = {{{1, Plane::kK}, {1, Plane::kV}, {0, Plane::kK}, {0, Plane::kV}}};
  foreign.frames = joined;
  foreign.sideSections = {{999, 0, static_cast<uint32_t>(side.size()),
                           xxh3(side, partSeed(header.chunkId, kSideSectionPart))}};
  Bytes stream = writeHeader(foreign).value();
  stream.insert(stream.end(), body.view().begin(), body.view().end());
  stream.insert(stream.end(), side.begin(), side.end());
  const auto read = verifyStream(stream);
  ASSERT_TRUE(read.ok()) << read.status().toString();

  SampleKv expected = kv;
  ASSERT_TRUE(decodeStream(plain, header, {}, expected.target()).ok());
  SampleKv all = kv;
  ASSERT_TRUE(decodeStream(stream, *read, {}, all.target()).ok());
  EXPECT_EQ(all.bytes, expected.bytes);
  KvRange range;
  range.layerEnd = 1;
  SampleKv first(1, {2, 8}, 20, ElementType::kF32);
  ASSERT_TRUE(decodeStream(stream, *read, range, first.target()).ok());
  EXPECT_TRUE(std::equal(first.bytes.begin(), first.bytes.end(), expected.bytes.begin()));
  stream.back() ^= std::byte{1};
  EXPECT_FALSE(verifyStream(stream).ok());
}

}  // namespace
}  // namespace spolia::codec
