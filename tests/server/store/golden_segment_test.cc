// Segment files kept in tests/golden/store, one directory a case: what was written once must be
// read for ever. holds.csv says what a store without an index finds in them; a directory with a
// file `refused` must be refused with the code and words in it. New ones are written by
//   server_tests --gtest_also_run_disabled_tests --gtest_filter=GoldenSegments.DISABLED_Write
// with the store's own writer; directories that exist are left alone.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "server/store/recovery.h"
#include "server/store/segment_dump.h"
#include "server/store/store.h"
#include "tests/support/asked_number.h"
#include "tests/support/cranked_store.h"
#include "tests/support/store_simulation.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

using Files = std::map<std::string, Bytes>;

const std::filesystem::path kDirectory =
    std::filesystem::path(SPOLIA_SOURCE_DIR) / "tests/golden/store";
constexpr const char* kColumns = "key,kind,attributes,expires,bytes,sha256";

StoreKey goldenKey(uint64_t n) {
  return test::simulationKey(n);
}

// A store over a simulated disk without faults, cranked by hand.
class HandStore {
 public:
  explicit HandStore(uint64_t segmentBytes) : store_(1, segmentBytes, 8) { open(); }

  void open() { store_.open(); }
  void put(uint64_t key, size_t bytes, EntryMeta meta = {}) {
    StoreOp op;
    op.kind = StoreOp::Kind::kPut;
    op.put.meta = std::move(meta);
    op.put.meta.key = goldenKey(key);
    std::string text;
    while (text.size() < bytes) {
      text.append("value ").append(std::to_string(version_)).append(" of ");
      text.append(std::to_string(key)).append(". ");
    }
    ++version_;
    op.put.payload = AlignedBuffer::copyOf(asBytes(text).first(bytes));
    op.put.policy = PutPolicy::kReplace;
    EXPECT_TRUE(run(std::move(op)).status.ok());
  }
  void remove(uint64_t key) {
    StoreOp op;
    op.kind = StoreOp::Kind::kRemove;
    op.key = goldenKey(key);
    EXPECT_TRUE(run(std::move(op)).status.ok());
  }
  StoreCompletion run(StoreOp op) { return store_.run(std::move(op)); }
  test::SimDisk& disk() { return store_.disk(); }

 private:
  test::CrankedStore store_;
  uint64_t version_ = 0;
};

std::string hexOf(ByteSpan bytes) {
  std::string out;
  char text[3];
  for (std::byte b : bytes) {
    std::snprintf(text, sizeof text, "%02x", std::to_integer<unsigned>(b));
    out += text;
  }
  return out;
}

// What a store finds in the files without an index, as the lines of holds.csv.
Result<std::vector<std::string>> holdings(const Files& files) {
  test::SimDisk disk(1);
  for (const auto& [name, bytes] : files) disk.place(name, bytes);
  test::SimRing ring(disk);
  test::MapIndex index;
  SPOLIA_ASSIGN_OR_RETURN(SegmentTable table, Recovery::run(ring, index));
  EngineConfig config;
  config.log = {1 << 20, 100, 1000, true};
  config.clock = [] { return uint64_t{0}; };
  StoreEngine engine(std::move(config), ring, index, std::move(table));
  std::vector<IndexEntry> entries;
  SPOLIA_RETURN_IF_ERROR(index.scan(StoreKey{}, [&](const IndexEntry& entry) {
    entries.push_back(entry);
    return true;
  }));
  std::vector<std::string> lines;
  StoreQueue queue;
  for (const IndexEntry& entry : entries) {
    StoreOp op;
    op.key = entry.meta.key;
    op.length = UINT64_MAX;
    op.queue = &queue;
    engine.accept(std::move(op));
    while (!engine.idle()) engine.pump(Ring::Wait::kPoll);
    const auto got = queue.drain();
    if (got.size() != 1 || !got[0].status.ok()) return Status(ErrorCode::kCorrupt, "unreadable");
    const EntryMeta& meta = *got[0].meta;
    const auto sum = sha256(got[0].range());
    lines.push_back(meta.key.hex() + "," + std::to_string(meta.kind) + "," +
                    hexOf(meta.attributes) + "," + std::to_string(meta.expiresAt) + "," +
                    std::to_string(got[0].range().size()) + "," + hexOf(sum));
  }
  return lines;
}

void save(const std::filesystem::path& directory, const Files& files,
          const Result<std::vector<std::string>>& holds) {
  std::filesystem::create_directories(directory);
  for (const auto& [name, bytes] : files) {
    std::ofstream(directory / name, std::ios::binary) << asText(bytes);
  }
  if (!holds.ok()) {
    std::ofstream(directory / "refused") << errorCodeName(holds.status().code()) << "\n"
                                         << holds.status().message() << "\n";
    return;
  }
  std::ofstream out(directory / "holds.csv");
  out << kColumns << '\n';
  for (const std::string& line : *holds) out << line << '\n';
}

Files load(const std::filesystem::path& directory) {
  Files files;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() != ".seg") continue;
    std::ifstream in(file.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    files.emplace(file.path().filename(), toBytes(asBytes(text)));
  }
  return files;
}

std::vector<std::string> linesOf(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::filesystem::path> goldenDirectories() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(kDirectory)) {
    if (entry.is_directory() && entry.path().filename() != "__pycache__") out.push_back(entry);
  }
  return out;
}

TEST(GoldenSegments, HoldWhatIsRecorded) {
  size_t read = 0;
  size_t refused = 0;
  for (const auto& directory : goldenDirectories()) {
    SCOPED_TRACE(directory.string());
    const auto found = holdings(load(directory));
    if (std::filesystem::exists(directory / "refused")) {
      const auto expected = linesOf(directory / "refused");
      EXPECT_EQ(errorCodeName(found.status().code()), expected.at(0));
      EXPECT_EQ(found.status().message(), expected.at(1));
      ++refused;
      continue;
    }
    ASSERT_TRUE(found.ok()) << found.status().toString();
    std::vector<std::string> expected = linesOf(directory / "holds.csv");
    ASSERT_FALSE(expected.empty());
    expected.erase(expected.begin());
    EXPECT_EQ(*found, expected);
    ++read;
  }
  EXPECT_GE(read, 8u);
  EXPECT_GE(refused, 1u);
}

// The store as programs open it, from the files alone.
TEST(GoldenSegments, AStoreOpensOnThem) {
  for (const auto& directory : goldenDirectories()) {
    SCOPED_TRACE(directory.string());
    test::TemporaryDirectory temporary;
    std::filesystem::create_directories(temporary.path() / "segments");
    for (const auto& [name, bytes] : load(directory)) {
      std::ofstream(temporary.path() / "segments" / name, std::ios::binary) << asText(bytes);
    }
    StoreConfig config;
    config.directory = temporary.path();
    config.segmentBytes = 1 << 20;
    config.capacityBytes = 16 << 20;
    config.io = IoBackend::kPread;
    const auto beginning = [] { return uint64_t{0}; };
    config.clock = ClockSources{beginning, beginning, "a-boot"};  // nothing has expired
    const auto store = Store::open(config);
    if (std::filesystem::exists(directory / "refused")) {
      EXPECT_EQ(errorCodeName(store.status().code()), linesOf(directory / "refused").at(0));
      continue;
    }
    ASSERT_TRUE(store.ok()) << store.status().toString();
    EXPECT_EQ((*store)->figures().entries, linesOf(directory / "holds.csv").size() - 1);
  }
}

TEST(GoldenSegments, DumpsShowWhatIsWrong) {
  const auto problems = [](const std::string& file) {
    const auto dump = dumpSegment(kDirectory / file);
    EXPECT_TRUE(dump.ok()) << dump.status().toString();
    std::string out;
    for (const SegmentProblem& p : dump->problems)
      out += std::to_string(p.offset) + ": " + p.what + "\n";
    EXPECT_FALSE(segmentText(*dump).empty());
    EXPECT_EQ(segmentJson(*dump).front(), '{');
    return out;
  };
  EXPECT_EQ(problems("plain/000001.seg"), "");
  EXPECT_EQ(problems("removed/000001.seg"), "");
  EXPECT_EQ(problems("recycled/000001.seg"), "");
  EXPECT_EQ(problems("payload_bit/000001.seg"), "16384: payload block 0: checksum does not hold\n");
  EXPECT_EQ(problems("header_bit/000001.seg"),
            "12288: record header: checksum; the next one is at 20480\n");
  EXPECT_EQ(problems("truncated/000001.seg"),
            "0: the header says 32768 bytes\n"
            "24576: payload block 0: cut off or cannot be read\n");
  EXPECT_EQ(problems("segment_header_bit/000001.seg"), "0: segment header checksum\n");
  EXPECT_EQ(problems("newer_version/000001.seg"),
            "0: segment format version 2, expected at most 1\n");
  EXPECT_EQ(problems("other_file/000001.seg"), "0: no segment header\n");
}

// Whatever the bytes, a dump comes of it.
TEST(GoldenSegments, DumpsOfDamagedFilesNeverFail) {
  std::mt19937_64 random(5);
  test::TemporaryDirectory temporary;
  const auto path = temporary.path() / "000001.seg";
  const Files files = load(kDirectory / "removed");
  for (int round = 0; round < 200; ++round) {
    Bytes bytes = files.begin()->second;
    for (uint64_t n = random() % 20; n > 0; --n) {
      const uint64_t block = random() % (bytes.size() / kDiskBlock) * kDiskBlock;
      bytes[block + random() % 120] = static_cast<std::byte>(random());
    }
    bytes.resize(round % 4 == 0 ? random() % bytes.size() : bytes.size());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << asText(bytes);
    const auto dump = dumpSegment(path);
    ASSERT_TRUE(dump.ok()) << round;
    EXPECT_FALSE(segmentText(*dump).empty());
  }
  EXPECT_EQ(dumpSegment(temporary.path() / "none").status().code(), ErrorCode::kNotFound);
  EXPECT_EQ(dumpSegment(temporary.path()).status().code(), ErrorCode::kInvalidArgument);
}

// The reader written from FORMAT.md finds in any store's segments what the store finds.
TEST(GoldenSegments, TheSecondReaderAgreesOnWhatStoresWriteNow) {
  const uint64_t seed = test::askedNumber("SPOLIA_SEED", std::random_device()());
  SCOPED_TRACE("SPOLIA_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  test::TemporaryDirectory temporary;
  std::string command = std::string(SPOLIA_PYTHON) + " " + SPOLIA_SOURCE_DIR +
                        "/tests/golden/store/read_segments.py --check";
  for (int i = 0; i < 12; ++i) {
    test::SimulationShape shape{128 << 10, 4, 8, 9000};
    if (i == 0) shape = {1 << 20, 3, 6, 150000};
    test::StoreSimulation sim(random(), shape);
    for (int life = 0; life < 3; ++life) {
      sim.open();
      sim.disk().setFaults({.writeError = i % 2 == 0 ? 0.02 : 0.0});
      for (int step = 0; step < 25; ++step) sim.step();
      if (i % 3 == 0) sim.finish();
      sim.powerLoss();
      sim.disk().setFaults({});
    }
    for (uint64_t n = i < 4 ? 0 : 1 + random() % 3; n > 0; --n) {
      sim.disk().damage("000001.seg", (8 + random() % (shape.segmentBytes / 512 - 8)) * 512);
    }
    const auto directory = temporary.path() / std::to_string(i);
    const Files files = sim.segments();
    const auto holds = holdings(files);
    ASSERT_TRUE(holds.ok()) << holds.status().toString();
    save(directory, files, holds);
    command.append(" ").append(directory.string());
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

struct SegmentCase {
  std::string name;
  uint64_t segmentBytes = 32 << 10;
  std::function<void(HandStore&)> fill;
  std::function<void(Files&)> change = [](Files&) {};
};

// Four small records; what is damaged in them is damaged in the second.
void fourPuts(HandStore& store) {
  for (uint64_t key = 1; key <= 3; ++key) store.put(key, 1000 * key);
}

void flip(Files& files, uint64_t offset) {
  files["000001.seg"][offset] ^= std::byte{4};
}

// As the first writers made them: no record says what had been acknowledged.
void withoutOffsets(Files& files) {
  constexpr Generation kGeneration{uint64_t{1} << 24 | 1};
  Bytes& file = files["000001.seg"];
  file = toBytes(encodeSegmentHeader({{1}, kGeneration, 20480}).span());
  for (uint64_t i = 0; i < 2; ++i) {
    const Bytes payload(3000 + i, std::byte{0x61});
    EntryMeta meta;
    meta.key = goldenKey(i);
    const AlignedBuffer header = encodeRecordHeader(
        meta, {kGeneration, file.size(), uint64_t{1} << kSequenceBits | (i + 1)}, false, payload);
    file.insert(file.end(), header.span().begin(), header.span().end());
    file.insert(file.end(), payload.begin(), payload.end());
    file.resize(roundUpToBlock(file.size()));
  }
}

std::vector<SegmentCase> segmentCases() {
  std::vector<SegmentCase> cases;
  cases.push_back({"plain", 160 << 10, [](HandStore& store) {
                     const size_t sizes[] = {0, 1, 4095, 4096, 65537};
                     for (uint64_t i = 0; i < std::size(sizes); ++i) {
                       EntryMeta meta;
                       meta.kind = static_cast<uint8_t>(i);
                       meta.expiresAt = i == 1 ? 1 : i == 2 ? 4102444800 : 0;
                       meta.attributes =
                           Bytes(i == 3 ? kMaxAttributeBytes : 7 * i, std::byte{0xab});
                       store.put(i, sizes[i], meta);
                     }
                   }});
  cases.push_back({"removed", 32 << 10, [](HandStore& store) {
                     fourPuts(store);
                     store.remove(2);
                     store.put(1, 5000);  // a second segment
                     store.open();
                     store.put(4, 100);
                     store.remove(4);
                   }});
  cases.push_back({"recycled", 32 << 10, [](HandStore& store) {
                     fourPuts(store);
                     store.put(1, 6000);
                     store.put(2, 300);
                     store.put(3, 300);
                     store.open();
                     store.put(9, 5000);
                   }});
  cases.push_back({"payload_bit", 32 << 10, fourPuts, [](Files& f) { flip(f, 16384 + 100); }});
  cases.push_back({"header_bit", 32 << 10, fourPuts, [](Files& f) { flip(f, 12288 + 70); }});
  cases.push_back({"segment_header_bit", 32 << 10, fourPuts, [](Files& f) { flip(f, 20); }});
  cases.push_back(
      {"truncated", 32 << 10, fourPuts, [](Files& f) { f["000001.seg"].resize(24576); }});
  cases.push_back({"other_number", 32 << 10, fourPuts, [](Files& f) {
                     f["000004.seg"] = f["000001.seg"];
                     f.erase("000001.seg");
                   }});
  cases.push_back({"no_acknowledged_offset", 4 << 10, [](HandStore&) {}, withoutOffsets});
  cases.push_back({"other_file", 4 << 10, [](HandStore&) {},
                   [](Files& f) { f["000001.seg"] = Bytes(4096, std::byte{'x'}); }});
  cases.push_back({"newer_version", 4 << 10, [](HandStore&) {},
                   [](Files& f) {
                     f["000001.seg"] = toBytes(encodeSegmentHeader({{1}, {7}, 4096}).span());
                     f["000001.seg"][4] = std::byte{2};
                   }});
  return cases;
}

TEST(GoldenSegments, DISABLED_Write) {
  for (const SegmentCase& c : segmentCases()) {
    if (std::filesystem::exists(kDirectory / c.name)) continue;
    HandStore store(c.segmentBytes);
    c.fill(store);
    Files files = store.disk().contents();
    c.change(files);
    save(kDirectory / c.name, files, holdings(files));
  }
}

}  // namespace
}  // namespace spolia::store
