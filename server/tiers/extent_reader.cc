#include "server/tiers/extent_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spolia::tiers {

ExtentReader::ExtentReader(store::Store& store, MemoryTier& memory, Answer answer)
    : store_(store),
      memory_(memory),
      answer_(std::move(answer)),
      payloads_(store, memory,
                [this](uint64_t cookie, PayloadRead read) { onRead(cookie, std::move(read)); }) {}

void ExtentReader::read(const ValueSource& source, const std::vector<PayloadRange>& ranges,
                        Interest interest, uint64_t cookie, Deadline deadline) {
  if (!source.extents) {
    return payloads_.read({source.key, source.version, source.bytes}, ranges, interest, cookie,
                          deadline);
  }
  const Result<std::vector<Part>> parts = partsOf(source, ranges);
  if (!parts.ok()) return fail(cookie, parts.status());
  noteUse(source, *parts);
  const uint64_t number = nextJob_++;
  Job& job = jobs_[number];
  job.cookie = cookie;
  job.readsLeft = parts->size();
  for (const Part& part : *parts) job.answer.length += part.length;
  if (parts->size() > 1) job.answer.bytes = AlignedBuffer(job.answer.length);
  uint64_t offset = 0;
  // The last may answer at once, and the job be gone.
  for (const Part& part : *parts) {
    const uint64_t asked = nextPart_++;
    places_[asked] = {number, offset};
    offset += part.length;
    payloads_.read(part.source, part.ranges, interest, asked, deadline);
  }
}

void ExtentReader::readAhead(const ValueSource& source) {
  if (!source.extents) return payloads_.readAhead({source.key, source.version, source.bytes});
  for (uint32_t number = 0; number < source.extents->count(); ++number) {
    const auto extent = extentOf(source, number);
    if (extent.ok() && *extent) payloads_.readAhead(**extent);
  }
}

void ExtentReader::drop(const ValueSource& source) {
  const uint32_t count = source.extents ? source.extents->count() : 1;
  for (uint32_t number = 0; number < count; ++number) {
    memory_.drop(number == 0 ? source.key : extentKeyOf(source.key, *source.extents, number));
  }
}

// Nothing: it is not there.
Result<std::optional<PayloadSource>> ExtentReader::extentOf(const ValueSource& source,
                                                            uint32_t number) const {
  const uint64_t bytes = source.extents->bytesOf(number);
  if (number == 0) return std::optional<PayloadSource>({source.key, source.version, bytes});
  const StoreKey key = extentKeyOf(source.key, *source.extents, number);
  SPOLIA_ASSIGN_OR_RETURN(const std::optional<store::EntryMeta> meta, store_.find(key));
  if (!meta) return std::optional<PayloadSource>();
  return std::optional<PayloadSource>({key, meta->version, bytes});
}

// What each extent has of the ranges, in their order. At least one, so that there is an answer.
Result<std::vector<ExtentReader::Part>> ExtentReader::partsOf(
    const ValueSource& source, const std::vector<PayloadRange>& ranges) const {
  const Extents& extents = *source.extents;
  std::vector<Part> parts;
  const auto partOf = [&](uint32_t number) -> Status {
    if (!parts.empty() && parts.back().number == number) return Status();
    SPOLIA_ASSIGN_OR_RETURN(const std::optional<PayloadSource> extent, extentOf(source, number));
    if (!extent) {
      return Status(ErrorCode::kNotFound, "extent " + std::to_string(number) + " is not there");
    }
    parts.push_back({number, *extent, {}, 0});
    return Status();
  };
  for (const PayloadRange& range : ranges) {
    const uint64_t end =
        range.offset +
        std::min(range.length, extents.bytes - std::min(extents.bytes, range.offset));
    for (uint64_t at = range.offset; at < end;) {
      const auto number = static_cast<uint32_t>(at / extents.each);
      SPOLIA_RETURN_IF_ERROR(partOf(number));
      const uint64_t within = at - extents.offsetOf(number);
      const uint64_t length = std::min(end - at, extents.bytesOf(number) - within);
      parts.back().ranges.push_back({within, length});
      parts.back().length += length;
      at += length;
    }
  }
  if (parts.empty()) SPOLIA_RETURN_IF_ERROR(partOf(0));
  return parts;
}

// All of it is used with a part, so that no other part is given up for being forgotten.
void ExtentReader::noteUse(const ValueSource& source, const std::vector<Part>& read) {
  for (uint32_t number = 0; number < source.extents->count(); ++number) {
    const bool reads = std::ranges::find(read, number, &Part::number) != read.end();
    if (!reads) store_.noteUse(extentKeyOf(source.key, *source.extents, number));
  }
}

void ExtentReader::onRead(uint64_t cookie, PayloadRead read) {
  if (cookie < kCookies) return answer_(cookie, {std::move(read)});
  const Place place = places_.extract(cookie).mapped();
  Job& job = jobs_.at(place.job);
  ValueRead& answer = job.answer;
  const bool only = answer.bytes.empty();
  if (answer.status.ok()) {
    answer.status = read.status;
    answer.incomplete = read.status.code() == ErrorCode::kNotFound;
  }
  answer.replaced |= read.replaced;
  answer.remembered |= read.remembered;
  answer.bytesRead += read.bytesRead;
  if (read.tier != codec::Tier::kMemory) answer.tier = read.tier;
  const bool whole = read.status.ok() && !read.replaced;
  if (whole && only) {
    answer.bytes = std::move(read.bytes);
    answer.start = read.start;
    answer.length = read.length;
  } else if (whole) {
    std::memcpy(answer.bytes.data() + place.offset, read.range().data(), read.length);
  }
  if (--job.readsLeft > 0) return;
  Job done = std::move(job);
  jobs_.erase(place.job);
  answer_(done.cookie, std::move(done.answer));
}

void ExtentReader::fail(uint64_t cookie, Status status) {
  ValueRead read;
  read.incomplete = status.code() == ErrorCode::kNotFound;
  read.status = std::move(status);
  answer_(cookie, std::move(read));
}

}  // namespace spolia::tiers
