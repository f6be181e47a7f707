// Bits flipped in the records of a store that is closed, one in each.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>

#include "server/store/segment_dump.h"

namespace spolia::test {

// Flips one bit of each live put's record, in its header or its payload; padding holds nothing.
// Gives the number of records.
inline uint64_t flipABitInEveryRecord(const std::filesystem::path& segments, uint64_t seed) {
  std::mt19937_64 random(seed);
  uint64_t flipped = 0;
  for (const auto& file : std::filesystem::directory_iterator(segments)) {
    const auto dump = store::dumpSegment(file.path());
    if (!dump.ok()) continue;
    std::fstream f(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (const store::DumpedRecord& record : dump->records) {
      const store::RecordHeader& header = record.header;
      if (header.tombstone) continue;
      const uint64_t used = store::kRecordFixedBytes + header.meta.attributes.size() +
                            8 * header.blockChecksums.size();
      const uint64_t within = random() % (used + header.meta.payloadBytes);
      const uint64_t at =
          header.stamp.offset + (within < used ? within : header.headerBytes + within - used);
      f.seekg(static_cast<std::streamoff>(at));
      const int byte = f.get();
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(byte ^ (1 << random() % 8)));
      ++flipped;
    }
  }
  return flipped;
}

}  // namespace spolia::test
