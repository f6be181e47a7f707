// Hostile bytes as segment file, record header and segment header: a store opens on them and serves
// what verifies, a dump shows them.
#include <spdlog/spdlog.h>

#include "codec/base/checksum.h"
#include "server/store/recovery.h"
#include "server/store/store_engine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/map_index.h"
#include "tests/support/sim_ring.h"

namespace spolia::store {
namespace {

constexpr size_t kChecksumAt = 16;
constexpr size_t kGenerationAt = 56;

// Gives every block that begins like a record the checksum it should have.
void fixChecksums(Bytes& file) {
  for (size_t at = 0; at + kDiskBlock <= file.size(); at += kDiskBlock) {
    const ByteSpan block = ByteSpan(file).subspan(at, kDiskBlock);
    const std::optional<uint32_t> length = recordHeaderLength(block);
    const size_t field = at == 0 ? 8 : kChecksumAt;
    if (at != 0 && (!length || at + *length > file.size())) continue;
    uint64_t seed = 0;
    if (at != 0) std::memcpy(&seed, block.data() + kGenerationAt, sizeof seed);
    std::memset(file.data() + at + field, 0, 8);
    const uint64_t sum = xxh3(ByteSpan(file).subspan(at, at == 0 ? kDiskBlock : *length), seed);
    std::memcpy(file.data() + at + field, &sum, 8);
  }
}

// Everything the index names after recovery reads as verified, or is a typed failure.
void openOn(const Bytes& file) {
  test::SimDisk disk(1);
  disk.place("000001.seg", file);
  test::SimRing ring(disk);
  test::MapIndex index;
  Recovery recovery(ring, index);
  if (!recovery.openSegments().ok()) return;
  FUZZ_CHECK(recovery.replay().ok());
  Result<SegmentTable> table = recovery.finish();
  FUZZ_CHECK(table.ok());
  EngineConfig config;
  config.log = {64 << 10, 3, std::max(1u, latestEpoch(*table) + 1), true};
  config.clock = [] { return uint64_t{0}; };
  StoreEngine engine(std::move(config), ring, index, std::move(*table));
  StoreQueue queue;
  FUZZ_CHECK(index
                 .scan(StoreKey{},
                       [&](const IndexEntry& entry) {
                         StoreOp op;
                         op.key = entry.meta.key;
                         op.length = UINT64_MAX;
                         op.queue = &queue;
                         engine.accept(std::move(op));
                         return true;
                       })
                 .ok());
  while (!engine.idle()) engine.pump(Ring::Wait::kPoll);
  // Recovery has verified them a moment ago.
  for (const StoreCompletion& done : queue.drain()) FUZZ_CHECK(done.status.ok());
}

void headers(const Bytes& bytes) {
  const ByteSpan first = ByteSpan(bytes).first(std::min(bytes.size(), kDiskBlock));
  parseSegmentHeader(first).status().ignore();
  const std::optional<uint32_t> length = recordHeaderLength(first);
  if (!length || *length > bytes.size()) return;
  const Result<RecordHeader> header =
      parseRecordHeader(ByteSpan(bytes).first(*length), Generation{1}, 0);
  if (!header.ok()) return;
  verifyBlocks(*header, 0, ByteSpan(bytes).subspan(*length)).ignore();
}

}  // namespace
}  // namespace spolia::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia;
  spdlog::set_level(spdlog::level::off);
  Bytes file = toBytes(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  store::headers(file);
  if (size > 4096) store::headers(Bytes(file.begin() + 4096, file.end()));
  store::openOn(file);
  store::fixChecksums(file);
  store::openOn(file);
  return 0;
}
