#include "server/store/segment_dump.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "server/store/io/disk_files.h"

namespace spolia::store {
namespace {

constexpr size_t kGenerationAt = 4 + 2 + 1 + 1 + 4 + 4 + 8 + 32;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Less than asked for at the end of the file and where the disk fails.
  Bytes read(uint64_t offset, uint64_t length) const {
    Bytes out(length);
    size_t done = 0;
    while (done < length) {
      const ssize_t got =
          ::pread(fd_, out.data() + done, length - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    out.resize(done);
    return out;
  }

 private:
  int fd_;
};

class Dumper {
 public:
  Dumper(const File& file, SegmentDump& out) : file_(file), out_(out) {}

  void run() {
    const Bytes block = file_.read(0, kDiskBlock);
    Result<SegmentHeader> header = parseSegmentHeader(block);
    if (header.ok()) {
      out_.header = *header;
      if (header->segmentBytes != out_.bytes) {
        problem(0, "the header says " + std::to_string(header->segmentBytes) + " bytes");
      }
    } else {
      problem(0, header.status().message());
    }
    out_.end = kDiskBlock;
    for (uint64_t at = kDiskBlock; at + kDiskBlock <= out_.bytes;) at = visit(at);
    if (gap_) problem(*gap_, gapReason_ + "; none of this generation follows", gapMatters_);
  }

 private:
  void problem(uint64_t offset, std::string what, bool matters = true) {
    if (matters) out_.problems.push_back({offset, std::move(what)});
  }

  // Returns where to look next.
  uint64_t visit(uint64_t at) {
    const Bytes first = file_.read(at, kDiskBlock);
    const std::optional<uint32_t> length = recordHeaderLength(first);
    if (!length) return nothing(at, first, "no record");
    uint64_t generation = 0;
    std::memcpy(&generation, first.data() + kGenerationAt, sizeof generation);
    const Bytes whole = file_.read(at, *length);
    Result<RecordHeader> header = parseRecordHeader(whole, Generation{generation}, at);
    if (!header.ok()) return nothing(at, first, header.status().message());
    const bool own = !out_.header || generation == out_.header->generation.value;
    if (!own || header->stamp.sequence <= sequence_) {
      ++out_.leftovers;
      return nothing(at, first, "an earlier life's record", false);
    }
    if (gap_) problem(*gap_, gapReason_ + "; the next one is at " + std::to_string(at));
    gap_.reset();
    return record(std::move(*header));
  }

  uint64_t nothing(uint64_t at, ByteSpan block, std::string why, bool matters = true) {
    const bool zeros =
        std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
    if (block.size() < kDiskBlock) why = "cannot be read";
    if (!gap_) {
      gap_ = at;
      gapReason_ = zeros && block.size() == kDiskBlock ? "zeros" : why;
      gapMatters_ = false;
    }
    // Behind the last record anything may stand, but not a damaged header of this generation.
    uint64_t generation = 0;
    if (block.size() == kDiskBlock) {
      std::memcpy(&generation, block.data() + kGenerationAt, sizeof generation);
    }
    const bool ours = recordHeaderLength(block).has_value() && out_.header &&
                      generation == out_.header->generation.value;
    gapMatters_ = gapMatters_ || block.size() < kDiskBlock || (ours && matters);
    return at + kDiskBlock;
  }

  uint64_t record(RecordHeader header) {
    DumpedRecord record;
    const uint64_t payload = header.stamp.offset + header.headerBytes;
    for (uint64_t block = 0; block < header.blockChecksums.size(); ++block) {
      const uint64_t begin = block * kChecksumBlock;
      const uint64_t length = std::min(kChecksumBlock, header.meta.payloadBytes - begin);
      const Bytes data = file_.read(payload + begin, length);
      if (data.size() == length && verifyBlocks(header, block, data).ok()) continue;
      record.damagedBlocks.push_back(block);
      problem(payload + begin, "payload block " + std::to_string(block) +
                                   (data.size() == length ? ": checksum does not hold"
                                                          : ": cut off or cannot be read"));
    }
    const uint64_t end = header.stamp.offset + header.recordBytes();
    sequence_ = header.stamp.sequence;
    out_.end = std::max(out_.end, end);
    record.header = std::move(header);
    out_.records.push_back(std::move(record));
    return end;
  }

  const File& file_;
  SegmentDump& out_;
  uint64_t sequence_ = 0;
  std::optional<uint64_t> gap_;  // where no record stands
  std::string gapReason_;
  bool gapMatters_ = false;
};

std::string sequenceText(uint64_t sequence) {
  const uint64_t counter = sequence & ((uint64_t{1} << kSequenceBits) - 1);
  return std::to_string(openingOf(sequence)) + "." + std::to_string(counter);
}

std::string hexOf(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::byte b : bytes) {
    out.push_back(kDigits[std::to_integer<int>(b) >> 4]);
    out.push_back(kDigits[std::to_integer<int>(b) & 15]);
  }
  return out;
}

// As JSON has it; what is no printable ASCII is escaped as a byte.
std::string jsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += "\\u00" + hexOf(std::as_bytes(std::span(&c, 1)));
    } else {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
  return out + "\"";
}

void recordText(const DumpedRecord& record, std::ostream& out) {
  const RecordHeader& h = record.header;
  out << "  " << h.stamp.offset << "  " << (h.tombstone ? "tombstone" : "put") << "  kind "
      << int{h.meta.kind} << "  sequence " << sequenceText(h.stamp.sequence) << "  key "
      << h.meta.key.hex() << "\n      header " << h.headerBytes << ", payload "
      << h.meta.payloadBytes << " bytes in " << h.blockChecksums.size() << " blocks";
  if (!record.damagedBlocks.empty()) out << ", " << record.damagedBlocks.size() << " damaged";
  if (h.meta.expiresAt != 0) out << ", expires " << h.meta.expiresAt;
  if (h.stamp.acknowledgedTo != 0) out << ", acknowledged to " << h.stamp.acknowledgedTo;
  if (!h.meta.attributes.empty()) out << ", attributes " << hexOf(h.meta.attributes);
  out << "\n";
}

void recordJson(const DumpedRecord& record, std::ostream& out) {
  const RecordHeader& h = record.header;
  out << "{\"offset\":" << h.stamp.offset << ",\"tombstone\":" << (h.tombstone ? "true" : "false")
      << ",\"kind\":" << int{h.meta.kind} << ",\"key\":" << jsonString(h.meta.key.hex())
      << ",\"generation\":" << h.stamp.generation.value << ",\"sequence\":" << h.stamp.sequence
      << ",\"header_bytes\":" << h.headerBytes << ",\"payload_bytes\":" << h.meta.payloadBytes
      << ",\"expires\":" << h.meta.expiresAt << ",\"acknowledged_to\":" << h.stamp.acknowledgedTo
      << ",\"attributes\":" << jsonString(hexOf(h.meta.attributes)) << ",\"damaged_blocks\":[";
  for (size_t i = 0; i < record.damagedBlocks.size(); ++i) {
    out << (i == 0 ? "" : ",") << record.damagedBlocks[i];
  }
  out << "]}";
}

}  // namespace

Result<SegmentDump> dumpSegment(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return statusOfErrno(errno, path.string());
  const File file(fd);
  struct stat info;
  if (::fstat(fd, &info) != 0) return statusOfErrno(errno, path.string());
  if (!S_ISREG(info.st_mode)) {
    return Status(ErrorCode::kInvalidArgument, path.string() + ": expected a segment file");
  }
  SegmentDump dump;
  dump.file = path;
  dump.bytes = static_cast<uint64_t>(info.st_size);
  Dumper(file, dump).run();
  return dump;
}

std::string segmentText(const SegmentDump& dump) {
  std::ostringstream out;
  out << dump.file.string() << ": " << dump.bytes << " bytes";
  if (dump.header) {
    out << ", segment " << dump.header->id.value << ", generation "
        << dump.header->generation.value;
  }
  out << "\n";
  for (const DumpedRecord& record : dump.records) recordText(record, out);
  out << "  " << dump.end << "  end: " << dump.records.size() << " records, "
      << dump.bytes - std::min(dump.bytes, dump.end) << " bytes behind them, " << dump.leftovers
      << " leftover headers\n";
  for (const SegmentProblem& problem : dump.problems) {
    out << "  " << problem.offset << "  PROBLEM: " << problem.what << "\n";
  }
  return out.str();
}

std::string segmentJson(const SegmentDump& dump) {
  std::ostringstream out;
  out << "{\"file\":" << jsonString(dump.file.string()) << ",\"bytes\":" << dump.bytes
      << ",\"header\":";
  if (dump.header) {
    out << "{\"segment\":" << dump.header->id.value
        << ",\"generation\":" << dump.header->generation.value
        << ",\"segment_bytes\":" << dump.header->segmentBytes << "}";
  } else {
    out << "null";
  }
  out << ",\"end\":" << dump.end << ",\"leftovers\":" << dump.leftovers << ",\"records\":[";
  for (size_t i = 0; i < dump.records.size(); ++i) {
    if (i > 0) out << ",";
    recordJson(dump.records[i], out);
  }
  out << "],\"problems\":[";
  for (size_t i = 0; i < dump.problems.size(); ++i) {
    out << (i == 0 ? "" : ",") << "{\"offset\":" << dump.problems[i].offset
        << ",\"what\":" << jsonString(dump.problems[i].what) << "}";
  }
  out << "]}\n";
  return out.str();
}

}  // namespace spolia::store
