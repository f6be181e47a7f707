// What stands in a segment file, for people who want to know why a store answers as it does. Reads
// only, takes damaged files, needs neither the store nor its index. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "server/store/segments/segment_format.h"

namespace spolia::store {

struct DumpedRecord {
  RecordHeader header;
  std::vector<uint64_t> damagedBlocks;  // numbers of payload blocks whose checksum does not hold
};

// Something that is not as it should be, by its offset in the file.
struct SegmentProblem {
  uint64_t offset = 0;
  std::string what;
};

struct SegmentDump {
  std::filesystem::path file;
  uint64_t bytes = 0;
  std::optional<SegmentHeader> header;
  std::vector<DumpedRecord> records;  // of the segment's generation, in order of offset
  // Intact record headers of earlier generations, and such as a crash left behind the end.
  uint64_t leftovers = 0;
  uint64_t end = 0;  // of the last record
  std::vector<SegmentProblem> problems;
};

// kNotFound, kIoError when the file cannot be opened; any content gives a dump.
Result<SegmentDump> dumpSegment(const std::filesystem::path& file);

// Lines for people; one JSON object.
std::string segmentText(const SegmentDump& dump);
std::string segmentJson(const SegmentDump& dump);

}  // namespace spolia::store
