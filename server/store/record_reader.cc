#include "server/store/record_reader.h"

#include <algorithm>
#include <utility>

#include "server/store/io/disk_files.h"
#include "server/store/recovery.h"

namespace spolia::store {
namespace {

// A read that fails is tried once more, then it is a miss.
constexpr int kAttempts = 2;

}  // namespace

RecordReader::Ticket RecordReader::read(const IndexEntry& entry, uint64_t offset, uint64_t length,
                                        Done done) {
  Segment* segment = table_.find(entry.address);
  auto read = std::make_shared<Read>();
  read->entry = entry;
  read->done = std::move(done);
  if (segment == nullptr) {
    read->result.status = Status(ErrorCode::kCorrupt, "the record's segment is gone");
    read->done(std::move(read->result));
    return {};
  }
  const uint64_t total = entry.meta.payloadBytes;
  const uint64_t begin = std::min(offset, total);
  const uint64_t end = begin + std::min(length, total - begin);
  read->firstBlock = begin / kChecksumBlock;
  const uint64_t from = read->firstBlock * kChecksumBlock;
  const uint64_t to = std::min(total, (end + kChecksumBlock - 1) / kChecksumBlock * kChecksumBlock);
  read->headerBytes = recordHeaderBytes(total, entry.meta.attributes.size());
  const uint64_t wanted = end > begin ? to - from : 0;
  if (wanted > 0 && read->firstBlock == 0) {
    read->result.data = AlignedBuffer(read->headerBytes + wanted);
  } else {
    read->header = AlignedBuffer(read->headerBytes);
    read->result.data = AlignedBuffer(wanted);
  }
  read->result.dataOffset = begin - from;
  read->result.dataLength = end - begin;
  ++segment->pins;
  start(read, segment->file);
  return read;
}

void RecordReader::giveUp(const Ticket& ticket) {
  const std::shared_ptr<Read> read = ticket.lock();
  if (read == nullptr || read->givenUp) return;
  read->givenUp = true;
  for (const uint64_t tag : read->tags) driver_.cancel(tag);
  ReadResult result;
  result.status = Status(ErrorCode::kDeadlineExceeded, "not read by the deadline");
  result.bytesRead = read->result.bytesRead;
  read->done(std::move(result));
}

void RecordReader::start(const std::shared_ptr<Read>& read, FileHandle file) {
  AlignedBuffer& data = read->result.data;
  const uint64_t at = read->entry.address.offset;
  const auto done = [this, read](int error) { part(read, error); };
  ++read->attempts;
  read->error = 0;
  read->partsLeft = data.empty() || read->header.empty() ? 1 : 2;
  read->result.bytesRead += read->header.size() + roundUpToBlock(data.size());
  uint64_t dataAt = at;
  if (!read->header.empty()) {
    read->tags[0] =
        driver_.issue({RingOp::kRead, file, at, read->header.data(), read->header.size(), 0}, done);
    dataAt += read->headerBytes + read->firstBlock * kChecksumBlock;
  }
  if (data.empty()) return;
  read->tags[1] = driver_.issue(
      {RingOp::kRead, file, dataAt, data.data(), roundUpToBlock(data.size()), 0}, done);
}

void RecordReader::part(const std::shared_ptr<Read>& read, int error) {
  if (error != 0) read->error = error;
  if (--read->partsLeft > 0) return;
  Segment* segment = table_.find(read->entry.address);
  if (read->givenUp) {
    --segment->pins;
    return released_();
  }
  if (read->error != 0 && read->attempts < kAttempts) return start(read, segment->file);
  --segment->pins;
  read->result.status =
      read->error != 0 ? statusOfErrno(read->error, segmentFileName(segment->id)) : verify(*read);
  if (!read->result.status.ok()) read->result.data = AlignedBuffer();
  read->done(std::move(read->result));
}

Status RecordReader::verify(Read& read) {
  const RecordAddress& address = read.entry.address;
  AlignedBuffer& data = read.result.data;
  const ByteSpan headerBytes = read.header.empty()
                                   ? std::as_const(data).span().first(read.headerBytes)
                                   : std::as_const(read.header).span();
  SPOLIA_ASSIGN_OR_RETURN(const RecordHeader header,
                          parseRecordHeader(headerBytes, address.generation, address.offset));
  if (read.header.empty()) data.dropFront(read.headerBytes);
  const bool same = header.meta.key == read.entry.meta.key && !header.tombstone &&
                    header.stamp.sequence == read.entry.sequence &&
                    header.meta.payloadBytes == read.entry.meta.payloadBytes &&
                    header.recordBytes() == address.length;
  if (!same) return Status(ErrorCode::kCorrupt, "the record is not the one the index names");
  return verifyBlocks(header, read.firstBlock, data.span());
}

}  // namespace spolia::store
