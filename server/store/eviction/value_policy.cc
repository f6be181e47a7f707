#include "server/store/eviction/value_policy.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace spolia::store {
namespace {

constexpr uint64_t kTickMs = 64;
constexpr uint64_t kExpiryUnitMs = 32768 * 1000;
constexpr int kParentlessOrigins = 5;
constexpr double kFollowVictimAges = 8;
constexpr uint32_t kMostSeen = 15;
constexpr int kAncestorsLookedAt = 32;
constexpr uint32_t kGapMemory = 8;  // accesses that a mean gap goes back

uint32_t tickOf(uint64_t nowMs) {
  return static_cast<uint32_t>(nowMs / kTickMs);
}

// 0, 1, 2, 3-5, 6-14, 15 and more.
uint8_t usesBucket(uint32_t seen) {
  if (seen < 3) return static_cast<uint8_t>(seen);
  return seen < 6 ? 3 : seen < kMostSeen ? 4 : 5;
}

// 0: not chained; 1: the first three; then one an octave: 4-7, 8-15, ...
uint8_t depthBucket(const ChunkTraits& chunk) {
  if (!chunk.chained) return 0;
  return static_cast<uint8_t>(
      std::clamp(static_cast<int>(std::bit_width(chunk.depth + 1)) - 1, 1, 7));
}

// 1 to 63: thirds of an octave from a quarter of a second on.
uint8_t packGap(double ticks) {
  return static_cast<uint8_t>(std::clamp(std::round(3 * (std::log2(ticks) - 2)) + 1, 1.0, 63.0));
}

double unpackGap(uint32_t packed) {
  return std::exp2((packed - 1.0) / 3 + 2);
}

// 13 bits: 128 steps an octave from 2^-48 on; 0: nothing.
uint16_t packDensity(double secondsPerByte) {
  if (secondsPerByte <= 0) return 0;
  const double steps = std::round((std::log2(secondsPerByte) + 48) * 128);
  return static_cast<uint16_t>(std::clamp(steps, 1.0, 8191.0));
}

double unpackDensity(uint32_t packed) {
  return packed == 0 ? 0 : std::exp2(packed / 128.0 - 48);
}

// Seven bits, from 4 KiB on.
uint8_t packSize(uint64_t bytes) {
  const double steps = std::round((std::log2(static_cast<double>(bytes)) - 12) * 8);
  return static_cast<uint8_t>(std::clamp(steps, 0.0, 127.0));
}

}  // namespace

ValuePolicy::ValuePolicy(uint64_t capacityBytes, const ValueParams& params)
    : EvictionPolicy(capacityBytes),
      params_(params),
      reuse_(params.reuse),
      random_(params.seed | 1) {
  pool_.reserve(params.poolSize + params.freshLeaves + 1);
}

bool ValuePolicy::needs(Slot slot) const {
  return slot < slots_ && (at(slot).stored || at(slot).children > 0);
}

Slot ValuePolicy::parentOf(Slot slot) const {
  return contains(slot) && at(slot).parent != kNoParent ? Slot{at(slot).parent} : kNoSlot;
}

void ValuePolicy::growTo(Slot slot) {
  while (parts_.size() * kRecordsPerPart <= slot) {
    parts_.push_back(std::make_unique<Record[]>(kRecordsPerPart));
  }
  slots_ = std::max(slots_, slot + 1);
}

uint16_t ValuePolicy::expiryOf(uint64_t expiresAt, uint64_t nowMs) const {
  if (expiresAt == 0) return kNever;
  const uint64_t start = started_ ? startMs_ : nowMs;
  const uint64_t end = std::max(expiresAt * 1000, start) - start;
  return static_cast<uint16_t>(std::min<uint64_t>(kNever, end / kExpiryUnitMs + 1));
}

// What the chunk would be if it were stored now. A chain is stored and given up as a whole, so each
// chunk counts with the mean of the chain to it: the end of a long chain alone, which costs many
// times what its head does, would hold all those before it too long.
ValuePolicy::Record ValuePolicy::recordOf(const ChunkTraits& chunk, uint64_t nowMs) const {
  Record record;
  record.stored = 1;
  record.size = packSize(chunk.storedBytes);
  record.usedAt = tickOf(nowMs);
  if (const auto ghost = ghosts_.find(chunk.keyHash)) {
    record.seen = ghost->seen, record.meanGap = ghost->meanGap;
    asked(record, record.usedAt - ghost->usedAt);
  }
  record.density = packDensity(chunk.recomputeSeconds / static_cast<double>(chunk.storedBytes));
  record.expiry = expiryOf(chunk.expiresAt, nowMs);
  record.origin = std::min<int>(chunk.kind, kParentlessOrigins - 1);
  record.depth = depthBucket(chunk);
  if (!chunk.chained || chunk.depth == 0) return record;
  if (chunk.parent >= kNoParent) {
    record.density = 0;
    return record;
  }
  record.parent = chunk.parent;
  if (!contains(chunk.parent)) return record;
  const Record& parent = at(chunk.parent);
  record.origin =
      parent.seen == 0 ? parent.origin : kParentlessOrigins - 1 + usesBucket(parent.seen);
  record.tail = record.size < parent.size;
  const double before = unpackDensity(parent.density), own = unpackDensity(record.density);
  record.density = packDensity(before + (own - before) / (chunk.depth + 1));
  return record;
}

// One more access, after `gap` ticks.
void ValuePolicy::asked(Record& record, uint32_t gap) {
  record.seen = std::min<uint32_t>(kMostSeen, record.seen + 1);
  const double last = std::max<double>(1, gap);
  if (record.meanGap == 0) {
    record.meanGap = packGap(last);
    return;
  }
  const double mean = unpackGap(record.meanGap);
  record.meanGap = packGap(mean + (last - mean) / std::min<uint32_t>(record.seen, kGapMemory));
}

// Chained chunks are told apart by their depth, others by their mean gap, as a multiple of the age
// at which chunks are evicted.
ReuseClass ValuePolicy::classOf(const Record& record) const {
  ReuseClass out{.use = static_cast<uint8_t>(usesBucket(record.seen) * 2 + record.tail),
                 .detail = static_cast<uint8_t>(record.depth),
                 .origin = static_cast<uint8_t>(record.origin)};
  if (record.depth == 0 && record.meanGap != 0) {
    const double octaves = std::log2(unpackGap(record.meanGap) / std::max(1.0, victimAge_));
    out.detail = static_cast<uint8_t>(std::clamp(12 + std::floor(octaves), 8.0, 15.0));
  }
  return out;
}

double ValuePolicy::valueOf(const Record& record, uint64_t nowMs) const {
  if (record.expiry != kNever && nowMs - startMs_ >= record.expiry * kExpiryUnitMs) return 0;
  const uint32_t age = tickOf(nowMs) - record.usedAt;
  return unpackDensity(record.density) * reuse_.rate(classOf(record), age);
}

// Whether one of those that it hangs on is not there, as far up as is worth looking.
bool ValuePolicy::severed(const Record& record) const {
  Slot above = record.parent;
  for (int step = 0; step < kAncestorsLookedAt && above != kNoParent; ++step) {
    if (!contains(above)) return true;
    above = at(above).parent;
  }
  return false;
}

double ValuePolicy::worth(Slot slot, uint64_t nowMs) const {
  if (!contains(slot) || severed(at(slot))) return 0;
  return valueOf(at(slot), nowMs) * (1000.0 / kTickMs);
}

bool ValuePolicy::nextToGo(Slot slot, uint64_t nowMs) const {
  if (!isCandidate(slot)) return false;
  return severed(at(slot)) || valueOf(at(slot), nowMs) <= victimValue_;
}

// A chained chunk is not held against the victim: it may be cheap itself, but without it the dear
// ones behind it could not come.
bool ValuePolicy::worthAPlace(const ChunkTraits& chunk, const Record& record, uint64_t nowMs) {
  if (chunk.chained && chunk.depth > 0 && !contains(chunk.parent)) return false;
  if (!full(chunk.storedBytes)) return true;
  const Slot victim = chooseVictim(nowMs);
  if (victim == kNoSlot || victim == growing_) return victim == kNoSlot;
  if (!params_.admission || chunk.chained) return true;
  return valueOf(record, nowMs) >= valueOf(at(victim), nowMs);
}

bool ValuePolicy::onAdmit(const ChunkTraits& chunk, uint64_t nowMs) {
  if (!started_) started_ = true, startMs_ = nowMs;
  growing_ = chunk.parent;
  const Record record = recordOf(chunk, nowMs);
  reuse_.access(chunk.keyHash, classOf(record), tickOf(nowMs));
  const bool kept = worthAPlace(chunk, record, nowMs);
  if (!kept) remember(chunk.keyHash, record);
  return kept;
}

void ValuePolicy::onInsert(Slot slot, const ChunkTraits& chunk, uint64_t nowMs) {
  if (!started_) started_ = true, startMs_ = nowMs;
  growTo(slot);
  Record record = recordOf(chunk, nowMs);
  if (record.parent == slot) record.parent = kNoParent;
  record.children = at(slot).children;
  at(slot) = record;
  if (record.parent != kNoParent) hangOn(record.parent);
  growing_ = kNoSlot;
}

void ValuePolicy::hangOn(Slot parent) {
  growTo(parent);
  if (at(parent).children < kMostChildren) ++at(parent).children;
}

void ValuePolicy::onTouch(Slot slot, uint64_t keyHash, uint64_t nowMs) {
  Record& record = at(slot);
  const uint32_t now = tickOf(nowMs);
  asked(record, now - record.usedAt);
  record.usedAt = now;
  reuse_.access(keyHash, classOf(record), record.usedAt);
}

// Children that stay keep the slot.
void ValuePolicy::onRemove(Slot slot, uint64_t keyHash, Departure why) {
  Record& record = at(slot);
  if (why == Departure::kEvicted) remember(keyHash, record);
  const Record gone = record;
  record = Record();
  record.children = gone.children;
  if (gone.parent != kNoParent) letGo(gone.parent, gone.depth, why);
}

void ValuePolicy::letGo(Slot parent, uint32_t depth, Departure why) {
  Record& above = at(parent);
  if (above.children > 0 && above.children < kMostChildren) --above.children;
  // It was the last use of a chain this long.
  if (why == Departure::kEvicted) above.depth = std::max<uint32_t>(above.depth, depth);
  addCandidate(parent);
}

void ValuePolicy::remember(uint64_t keyHash, const Record& record) {
  ghosts_.reserve(static_cast<size_t>(static_cast<double>(count()) * params_.ghostShare));
  ghosts_.put(keyHash, {.usedAt = record.usedAt,
                        .seen = static_cast<uint8_t>(record.seen),
                        .meanGap = static_cast<uint8_t>(record.meanGap)});
}

bool ValuePolicy::isCandidate(Slot slot) const {
  return slot != growing_ && contains(slot) && at(slot).children == 0;
}

void ValuePolicy::addCandidate(Slot slot) {
  if (!isCandidate(slot)) return;
  const auto same = [&](const Candidate& candidate) { return candidate.slot == slot; };
  if (std::none_of(pool_.begin(), pool_.end(), same)) pool_.push_back({slot, severed(at(slot)), 0});
}

uint64_t ValuePolicy::random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

void ValuePolicy::refillPool() {
  std::erase_if(pool_, [&](const Candidate& candidate) { return !isCandidate(candidate.slot); });
  const size_t wanted = pool_.size() + params_.freshLeaves;
  for (uint32_t probe = 0; probe < params_.maxProbes && pool_.size() < wanted; ++probe) {
    const Slot slot = static_cast<Slot>((random() >> 32) * slots_ >> 32);
    if (!isCandidate(slot)) continue;
    if (at(slot).spared) {
      at(slot).spared = 0;
    } else {
      addCandidate(slot);
    }
  }
}

// Something is stored. The last leaf may be the one that is growing, and what looks like a parent
// for ever (kMostChildren) may be the last chunk.
Slot ValuePolicy::lastResort() {
  const Slot start = static_cast<Slot>((random() >> 32) * slots_ >> 32);
  Slot stored = kNoSlot;
  for (Slot i = 0; i < slots_; ++i) {
    const Slot slot = static_cast<Slot>((uint64_t{start} + i) % slots_);
    if (isCandidate(slot)) return slot;
    if (contains(slot) && (stored == kNoSlot || at(slot).children == 0)) stored = slot;
  }
  return stored;
}

Slot ValuePolicy::onChooseVictim(uint64_t nowMs) {
  refillPool();
  if (pool_.empty()) return lastResort();
  for (Candidate& candidate : pool_) {
    candidate.value = candidate.severed ? 0 : valueOf(at(candidate.slot), nowMs);
  }
  std::sort(pool_.begin(), pool_.end(),
            [](const Candidate& a, const Candidate& b) { return a.value < b.value; });
  if (pool_.size() > params_.poolSize) pool_.resize(params_.poolSize);
  const Slot victim = pool_.front().slot;
  victimAge_ += (tickOf(nowMs) - at(victim).usedAt - victimAge_) / 256;
  victimValue_ += (pool_.front().value - victimValue_) / 256;
  reuse_.setTimes(static_cast<uint32_t>(kFollowVictimAges * victimAge_),
                  params_.shortestHold * victimAge_);
  return victim;
}

void ValuePolicy::onPostpone(Slot slot, uint64_t) {
  at(slot).spared = 1;
  std::erase_if(pool_, [&](const Candidate& candidate) { return candidate.slot == slot; });
}

size_t ValuePolicy::stateBytes() const {
  return parts_.size() * kRecordsPerPart * sizeof(Record) + ghosts_.stateBytes() +
         reuse_.stateBytes() + pool_.capacity() * sizeof(Candidate);
}

}  // namespace spolia::store
