#include "server/tiers/payload_reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <utility>

namespace spolia::tiers {
namespace {

constexpr uint64_t kBlock = MemoryTier::kBlockBytes;
// Read ahead in pieces, so that the first are held while the last are on their way.
constexpr uint32_t kAheadBlocks = 16;

uint64_t steadyMs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

Status late() {
  return Status(ErrorCode::kDeadlineExceeded, "not read by the deadline");
}

uint32_t blockOf(uint64_t offset) {
  return static_cast<uint32_t>(offset / kBlock);
}

// Those that cover the ranges, ascending.
std::vector<uint32_t> coveringBlocks(const std::vector<PayloadRange>& ranges) {
  std::vector<uint32_t> blocks;
  for (const PayloadRange& range : ranges) {
    if (range.length == 0) continue;
    const uint32_t last = blockOf(range.offset + range.length - 1);
    for (uint32_t block = blockOf(range.offset); block <= last; ++block) {
      if (blocks.empty() || blocks.back() < block) blocks.push_back(block);
    }
  }
  return blocks;
}

void clip(std::vector<PayloadRange>& ranges, uint64_t payloadBytes) {
  for (PayloadRange& range : ranges) {
    range.offset = std::min(range.offset, payloadBytes);
    range.length = std::min(range.length, payloadBytes - range.offset);
  }
}

// Copies what `bytes`, which stand at `offset` of the payload, have of the ranges to where the
// ranges stand one behind the other.
void copyRanges(const std::vector<PayloadRange>& ranges, uint64_t offset, ByteSpan bytes,
                std::byte* out) {
  for (const PayloadRange& range : ranges) {
    const uint64_t begin = std::max(range.offset, offset);
    const uint64_t end = std::min(range.offset + range.length, offset + bytes.size());
    if (begin < end) {
      std::memcpy(out + (begin - range.offset), bytes.data() + (begin - offset), end - begin);
    }
    out += range.length;
  }
}

}  // namespace

PayloadReader::PayloadReader(store::Store& store, MemoryTier& memory, Answer answer,
                             Deadlines::Clock clock)
    : store_(store), memory_(memory), answer_(std::move(answer)), deadlines_(std::move(clock)) {}

void PayloadReader::drain() {
  for (store::StoreCompletion& completion : stored_.drain()) onStored(std::move(completion));
  deadlines_.expire();
}

void PayloadReader::read(const PayloadSource& source, std::vector<PayloadRange> ranges,
                         Interest interest, uint64_t cookie, Deadline deadline) {
  Job job;
  job.cookie = cookie;
  job.source = source;
  job.deadline = deadline;
  job.ranges = std::move(ranges);
  clip(job.ranges, source.bytes);
  for (const PayloadRange& range : job.ranges) job.answer.length += range.length;
  const std::vector<uint32_t> missing = takeHeld(job, coveringBlocks(job.ranges));
  if (missing.empty()) {
    store_.noteUse(source.key);
    return finish(std::move(job));
  }
  if (deadlines_.passed(deadline)) {
    job.answer.status = late();
    return finish(std::move(job));
  }
  const uint64_t number = nextNumber_++;
  job.late = deadlines_.add(deadline, [this, number] {
    auto node = jobs_.extract(number);
    node.mapped().answer.status = late();
    finish(std::move(node.mapped()));
  });
  await(number, jobs_[number] = std::move(job), missing, interest);
}

// Copies what the memory tier has; gives back the blocks it has not.
std::vector<uint32_t> PayloadReader::takeHeld(Job& job, const std::vector<uint32_t>& blocks) {
  std::vector<uint32_t> missing;
  for (uint32_t block : blocks) {
    const ByteSpan held = memory_.find({job.source.key, job.source.version, block});
    if (held.empty()) {
      missing.push_back(block);
      continue;
    }
    if (!job.answer.remembered) job.answer.bytes = AlignedBuffer(job.answer.length);
    job.answer.remembered = true;
    copyRanges(job.ranges, block * kBlock, held, job.answer.bytes.data());
  }
  return missing;
}

void PayloadReader::await(uint64_t number, Job& job, const std::vector<uint32_t>& missing,
                          Interest interest) {
  job.answer.tier = codec::Tier::kDisk;
  for (size_t i = 0; i < missing.size();) {
    const uint32_t begin = missing[i];
    uint32_t end = begin;
    for (size_t j = i; j < missing.size() && missing[j] == end; ++j) ++end;
    Read* read = underWay(job.source, begin, end);
    if (read == nullptr) read = &start(job.source, begin, end, job.deadline);
    end = std::min(end, read->end);
    read->waiters.push_back({number, begin, end});
    ++job.readsLeft;
    for (uint32_t block = begin; block < end; ++block, ++i) {
      if (interest == Interest::kAsked && memory_.ask(job.source.key, block)) {
        read->wanted[block - read->begin] = true;
      }
    }
  }
  // A single read that brings one range hands over its buffer.
  const bool handedOver = job.readsLeft == 1 && job.ranges.size() == 1 && !job.answer.remembered;
  if (!handedOver && job.answer.bytes.empty()) job.answer.bytes = AlignedBuffer(job.answer.length);
}

PayloadReader::Read* PayloadReader::underWay(const PayloadSource& source, uint32_t block,
                                             uint32_t& end) {
  const auto numbers = readsOf_.find(source.key);
  if (numbers == readsOf_.end()) return nullptr;
  for (const uint64_t number : numbers->second) {
    Read& read = reads_.at(number);
    if (read.version != source.version) continue;
    if (read.begin <= block && block < read.end) return &read;
    if (block < read.begin) end = std::min(end, read.begin);
  }
  return nullptr;
}

PayloadReader::Read& PayloadReader::start(const PayloadSource& source, uint32_t begin, uint32_t end,
                                          Deadline deadline) {
  const uint64_t number = nextNumber_++;
  Read& read = reads_[number];
  read.key = source.key;
  read.version = source.version;
  read.begin = begin;
  read.end = end;
  read.wanted.resize(end - begin);
  readsOf_[source.key].push_back(number);
  store_.submitGet(source.key, begin * kBlock, (end - begin) * kBlock, number, stored_, deadline);
  return read;
}

void PayloadReader::readAhead(const PayloadSource& source) {
  if (memory_.capacity() == 0) return;
  uint64_t room = memory_.roomAhead(pendingAhead_, steadyMs());
  const uint32_t blocks = blockOf(source.bytes + kBlock - 1);
  for (uint32_t begin = 0; begin < blocks;) {
    uint32_t end = std::min(blocks, begin + kAheadBlocks);
    const bool there = memory_.holds({source.key, source.version, begin}) ||
                       underWay(source, begin, end) != nullptr;
    if (there) {
      ++begin;
      continue;
    }
    for (uint32_t b = begin + 1; b < end; ++b) {
      if (memory_.holds({source.key, source.version, b})) end = b;
    }
    const uint64_t bytes = (end - begin) * kBlock;
    if (bytes > room) return;
    room -= bytes;
    pendingAhead_ += bytes;
    start(source, begin, end, kNoDeadline).ahead = true;
    begin = end;
  }
}

void PayloadReader::onStored(store::StoreCompletion completion) {
  auto node = reads_.extract(completion.cookie);
  const Read& read = node.mapped();
  const auto numbers = readsOf_.find(read.key);
  std::erase(numbers->second, completion.cookie);
  if (numbers->second.empty()) readsOf_.erase(numbers);
  if (read.ahead) pendingAhead_ -= (read.end - read.begin) * kBlock;
  if (completion.status.ok()) remember(read, completion);
  // Backwards, so that who may take the buffer itself, the one that began the read, is the last.
  for (size_t i = read.waiters.size(); i-- > 0;) deliver(read.waiters[i], read, completion);
}

void PayloadReader::remember(const Read& read, const store::StoreCompletion& completion) {
  const ByteSpan bytes = completion.range();
  for (uint32_t block = read.begin; block < read.end; ++block) {
    const bool wanted = read.wanted[block - read.begin];
    if (!wanted && !read.ahead) continue;
    const uint64_t at = (block - read.begin) * kBlock;
    if (at >= bytes.size()) return;
    const bool used = std::ranges::any_of(read.waiters, [&](const Waiter& waiter) {
      return waiter.begin <= block && block < waiter.end;
    });
    memory_.insert({read.key, completion.meta->version, block},
                   bytes.subspan(at, std::min(kBlock, bytes.size() - at)),
                   used ? MemoryTier::Entrance::kAsked : MemoryTier::Entrance::kAhead);
  }
}

void PayloadReader::deliver(const Waiter& waiter, const Read& read,
                            store::StoreCompletion& completion) {
  const auto found = jobs_.find(waiter.job);
  if (found == jobs_.end()) return;  // it was late
  Job& job = found->second;
  const bool late = completion.status.code() == ErrorCode::kDeadlineExceeded;
  if (late && !deadlines_.passed(job.deadline)) return readAgain(waiter, job);
  PayloadRead& answer = job.answer;
  if (&waiter == &read.waiters.front() && !read.ahead) answer.bytesRead += completion.bytesRead;
  if (!completion.status.ok()) {
    if (answer.status.ok()) answer.status = completion.status;
  } else if (completion.meta->version != job.source.version) {
    answer.replaced = true;
  } else if (!answer.bytes.empty()) {
    copyRanges(job.ranges, read.begin * kBlock, completion.range(), answer.bytes.data());
  } else {
    const uint64_t start = job.ranges[0].offset - read.begin * kBlock;
    if (&waiter == &read.waiters.front()) {
      answer.bytes = std::move(completion.data);
      answer.start = start;
    } else {
      answer.bytes = AlignedBuffer::copyOf(completion.range().subspan(start, answer.length));
    }
  }
  if (--job.readsLeft > 0) return;
  Job done = std::move(job);
  jobs_.erase(waiter.job);
  finish(std::move(done));
}

void PayloadReader::readAgain(const Waiter& waiter, Job& job) {
  std::vector<uint32_t> blocks(waiter.end - waiter.begin);
  std::iota(blocks.begin(), blocks.end(), waiter.begin);
  // It may come in other pieces now.
  if (job.answer.bytes.empty()) job.answer.bytes = AlignedBuffer(job.answer.length);
  --job.readsLeft;
  await(waiter.job, job, blocks, Interest::kPassing);
}

void PayloadReader::finish(Job job) {
  deadlines_.remove(job.late);
  if (!job.answer.status.ok() || job.answer.replaced) {
    job.answer.bytes = AlignedBuffer();
    job.answer.start = job.answer.length = 0;
  }
  answer_(job.cookie, std::move(job.answer));
}

}  // namespace spolia::tiers
