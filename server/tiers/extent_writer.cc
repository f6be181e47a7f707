#include "server/tiers/extent_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spolia::tiers {
namespace {

// Long against a seek; and short against a segment, so that little of one stays empty at its end,
// and what is moved to empty one is little.
constexpr uint64_t kExtentBytes = 8 << 20;
constexpr uint64_t kOfLongest = 8;
// Extents are whole blocks of checksums and of the memory tier.
constexpr uint64_t kExtentStep = 64 << 10;
// Extents of a value that are written at the same time, each a copy in memory.
constexpr uint32_t kUnderWay = 2;
constexpr uint64_t kRemoval = UINT64_MAX;
constexpr uint64_t kHoldMs = 600'000;

}  // namespace

ExtentWriter::ExtentWriter(store::Store& store, Answer answer)
    : store_(store), answer_(std::move(answer)) {}

std::optional<Extents> ExtentWriter::extentsFor(uint64_t bytes) {
  const uint64_t longest = store_.longestPayload();
  if (bytes <= longest) return std::nullopt;
  const uint64_t blocks = std::max<uint64_t>(1, longest / kOfLongest / kExtentStep);
  return Extents{bytes, static_cast<uint32_t>(std::min(kExtentBytes, blocks * kExtentStep)),
                 nonces_()};
}

void ExtentWriter::write(store::PutRequest put, EntryAttributes attributes, uint64_t cookie) {
  const uint64_t number = nextNumber_++;
  Job& job = jobs_[number];
  job.cookie = cookie;
  job.entry = put.meta.key;
  job.put = std::move(put);
  job.attributes = std::move(attributes);
  job.put.meta.attributes = writeAttributes(job.attributes);
  if (!waiting_.empty() || !begin(number, job)) waiting_.push_back(number);
}

// False: what others write holds too much for it to begin now.
bool ExtentWriter::begin(uint64_t number, Job& job) {
  const Extents& extents = *job.attributes.extents;
  std::vector<store::EntryMeta> coming;
  if (!extents.valid()) {
    job.failure = Status(ErrorCode::kOutOfSpace,
                         "value: " + std::to_string(extents.bytes) + " bytes are too many extents");
  }
  for (uint32_t i = 1; job.failure.ok() && i < extents.count(); ++i) {
    coming.push_back(metaOf(job, i));
  }
  if (job.failure.ok()) {
    const auto lease = store_.leaseAhead({0, "values being stored"}, coming, kHoldMs);
    if (lease.ok()) {
      job.lease = lease->id;
    } else if (begun_ > 0) {
      return false;
    } else {
      job.failure = Status(ErrorCode::kOutOfSpace,
                           "value: " + std::to_string(extents.bytes) +
                               " bytes, more than the store may keep: " + lease.status().message());
    }
  }
  ++begun_;
  goOn(number, job);
  return true;
}

void ExtentWriter::beginWaiting() {
  while (!waiting_.empty()) {
    const uint64_t number = waiting_.front();
    waiting_.pop_front();
    if (begin(number, jobs_.at(number))) continue;
    waiting_.push_front(number);
    return;
  }
}

store::EntryMeta ExtentWriter::metaOf(const Job& job, uint32_t extent) const {
  const Extents& extents = *job.attributes.extents;
  store::EntryMeta meta;
  meta.key = extentKeyOf(job.entry, extents, extent);
  meta.kind = kExtentKind;
  meta.payloadBytes = extents.bytesOf(extent);
  meta.expiresAt = job.put.meta.expiresAt;
  meta.attributes = writeExtentAttributes({job.entry, extent, job.put.meta.kind, job.attributes});
  return meta;
}

void ExtentWriter::goOn(uint64_t number, Job& job) {
  const Extents& extents = *job.attributes.extents;
  for (; job.failure.ok() && job.next < extents.count() && job.underWay < kUnderWay; ++job.next) {
    store::PutRequest put;
    put.meta = metaOf(job, job.next);
    put.payload = AlignedBuffer::copyOf(
        job.put.payload.span().subspan(extents.offsetOf(job.next), extents.bytesOf(job.next)));
    put.policy = store::PutPolicy::kReplace;
    ++job.underWay;
    store_.submitPut(std::move(put), number, stored_);
  }
  if (job.underWay > 0) return;
  if (!job.failure.ok() || job.last) return finish(number);
  job.last = true;
  ++job.underWay;
  job.put.payload.resizeWithin(extents.each);
  store_.submitPut(std::move(job.put), number, stored_);
}

void ExtentWriter::drain() {
  for (const store::StoreCompletion& completion : stored_.drain()) onStored(completion);
}

void ExtentWriter::onStored(const store::StoreCompletion& completion) {
  if (completion.cookie == kRemoval) {
    --removing_;
    return;
  }
  Job& job = jobs_.at(completion.cookie);
  --job.underWay;
  if (job.failure.ok()) job.failure = completion.status;
  goOn(completion.cookie, job);
}

void ExtentWriter::finish(uint64_t number) {
  const Job job = std::move(jobs_.extract(number).mapped());
  --begun_;
  store_.leases().release(job.lease);
  if (!job.failure.ok()) discard(job.entry, *job.attributes.extents);
  answer_(job.cookie, job.failure);
  beginWaiting();
}

void ExtentWriter::discard(const StoreKey& entry, const Extents& extents) {
  std::vector<StoreKey> keys;
  for (uint32_t i = 1; i < extents.count(); ++i) keys.push_back(extentKeyOf(entry, extents, i));
  discard(keys);
}

// Absent ones are not removed once more: that could take a tombstone.
void ExtentWriter::discard(const std::vector<StoreKey>& extents) {
  for (const StoreKey& key : extents) {
    const auto found = store_.find(key);
    if (!found.ok() || !*found) continue;
    ++removing_;
    store_.submitRemove(key, kRemoval, stored_);
  }
}

}  // namespace spolia::tiers
