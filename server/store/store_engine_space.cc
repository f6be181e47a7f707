// How a StoreEngine comes by room: what may be put, what is evicted, and what waits.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/store/store_engine.h"

namespace spolia::store {
namespace {

// How often a policy is asked for another victim when the one it names is being written to.
constexpr size_t kVictimsAsked = 64;
constexpr size_t kEntriesLoadedAtOnce = 4096;

}  // namespace

void StoreEngine::loadResidents() {
  const Status loaded = residents_.ordered() ? loadInOrderOfWriting() : loadInAnyOrder();
  if (!loaded.ok()) spdlog::error("reading the index: {}", loaded.message());
}

void StoreEngine::load(const EntryMeta& meta, uint64_t recordBytes) {
  config_.expires(meta.expiresAt);
  Changes changes;
  Residents::Claim claim = residents_.claim();
  residents_.claimAdded(claim, meta, recordBytes);
  while (residents_.over(claim) && evictOne(changes, &claim)) {
  }
  if (const Status evicted = applyEvictions(std::move(changes)); !evicted.ok()) {
    spdlog::error("evicting: {}", evicted.message());
  }
  residents_.add(meta, recordBytes, nowMs());
  ++figures_.entries;
}

// A page at a time: the index is asked for what is evicted in between.
Status StoreEngine::loadInAnyOrder() {
  std::vector<IndexEntry> page;
  for (std::optional<StoreKey> from = StoreKey{}; from;) {
    page.clear();
    std::optional<StoreKey> next;
    SPOLIA_RETURN_IF_ERROR(index_.scan(*from, [&](const IndexEntry& entry) {
      if (page.size() < kEntriesLoadedAtOnce) return page.push_back(entry), true;
      return next = entry.meta.key, false;
    }));
    for (const IndexEntry& entry : page) load(entry.meta, entry.address.length);
    from = next;
  }
  return Status();
}

// Which is as good a guess at the order of use as a restart leaves.
Status StoreEngine::loadInOrderOfWriting() {
  struct Found {
    uint64_t sequence;
    uint64_t recordBytes;
    EntryMeta meta;
  };
  std::vector<Found> found;
  SPOLIA_RETURN_IF_ERROR(index_.scan(StoreKey{}, [&](const IndexEntry& entry) {
    found.push_back({entry.sequence, entry.address.length, entry.meta});
    return true;
  }));
  std::ranges::sort(found, {}, &Found::sequence);
  for (const Found& entry : found) load(entry.meta, entry.recordBytes);
  return Status();
}

// What an owner leases does not go for its own quota either.
Status StoreEngine::withinQuota(const EntryMeta& meta, uint64_t bytes) const {
  const uint64_t held =
      config_.leases == nullptr ? 0 : config_.leases->heldOf(config_.worthOf(meta).owner);
  const Status status = residents_.withinQuota(meta, bytes + held);
  return held > 0 ? status.withContext("with " + std::to_string(held) + " bytes leased") : status;
}

Status StoreEngine::refuseIfTooMuch(const PutRequest& put) {
  const uint64_t bytes = AppendLog::recordBytes(put.meta, put.payload.size());
  const Footprint more = pendingPuts_ + Residents::footprintOf(put.meta, bytes) + leasedFootprint();
  const auto refusal = [](const std::string& what, uint64_t most, uint64_t taken) {
    return Status(ErrorCode::kOutOfSpace, what + " may take " + std::to_string(most) +
                                              " bytes, of which " + std::to_string(taken) +
                                              " are taken");
  };
  if (Status quota = withinQuota(put.meta, bytes); !quota.ok()) return quota;
  const uint64_t indexFiles = index_.diskBytes();
  if (indexFiles > config_.indexFileBytes) {
    return refusal("the files of the store's index", config_.indexFileBytes, indexFiles);
  }
  if (residents_.couldFit(more)) return Status();
  const Footprint& budget = residents_.budget();
  const Footprint& live = residents_.live();
  Status status = residents_.couldFit({more.record, 0})
                      ? refusal("entries in the store's index", budget.index, live.index)
                      : refusal("the store's entries", budget.record, live.record);
  if (!config_.makePolicy) return status;
  return status.withContext(leasedFootprint().record > 0
                                ? "what is leased or may not be evicted is in the way"
                                : "what may not be evicted is in the way");
}

std::optional<IndexEntry> StoreEngine::entryOf(Residents::Prefix prefix) {
  std::optional<IndexEntry> out;
  const Status scanned = index_.scan(Residents::firstKeyOf(prefix), [&](const IndexEntry& entry) {
    if (Residents::prefixOf(entry.meta.key) == prefix) out = entry;
    return false;
  });
  return scanned.ok() ? out : std::nullopt;
}

// For the claim where there is one. False when nothing has to or can go.
bool StoreEngine::evictOne(Changes& changes, const Residents::Claim* claim) {
  // What is leased is met once, and then stands behind what is not.
  const size_t held = config_.leases == nullptr ? 0 : config_.leases->entries();
  for (size_t asked = 0; asked < kVictimsAsked + held; ++asked) {
    const auto victim =
        claim != nullptr ? residents_.victim(*claim, nowMs()) : residents_.victim(nowMs());
    if (!victim) return false;
    const std::optional<IndexEntry> entry = entryOf(victim->prefix);
    if (!entry) {
      residents_.forget(*victim);
    } else if (mutations_.contains(entry->meta.key) || leased(entry->meta.key)) {
      residents_.postpone(*victim, nowMs());
    } else {
      giveUp(*entry, changes);
      giveUpCompanions(*entry, changes);
      return true;
    }
  }
  return false;
}

// No tombstone is written: a rebuild of the index may bring the entry back. Its record now stands
// for one, lest an older record of its key come back after the segment was written again.
void StoreEngine::giveUp(const IndexEntry& entry, Changes& changes, Departure why) {
  residents_.remove(entry.meta, entry.address.length, why);
  if (why == Departure::kRemoved) ++changes.expired;
  changes.batch.removes.push_back(entry.meta.key);
  changes.evicted.push_back(entry);
  Segment* segment = table_.find(entry.address);
  if (segment == nullptr) return;
  if (saysMore(entry.meta, false)) ++segment->tombstones;
  auto& marks = changes.batch.marks;
  const auto mark = std::ranges::find(marks, segment->id, &SegmentMark::segment);
  if (mark != marks.end()) {
    mark->tombstones = segment->tombstones;
  } else if (segment->markedTo != 0) {
    // What recovery could not see behind its mark has to be looked for again, so the mark stays.
    const uint64_t last =
        segment->markedSequence != 0 ? segment->markedSequence : segment->lastSequence;
    marks.push_back({segment->id, segment->generation, segment->markedTo, segment->tombstones,
                     segment->firstSequence, last});
  }
}

// One by one they would go too, but until then others would have gone for the room that they hold.
void StoreEngine::giveUpCompanions(const IndexEntry& entry, Changes& changes) {
  for (const StoreKey& key : config_.companions(entry.meta)) {
    if (mutations_.contains(key) || leased(key)) continue;
    const Result<std::optional<IndexEntry>> found = index_.find(key);
    if (!found.ok() || !*found) continue;
    // Another entry of that key may have others for companions.
    const std::vector<StoreKey> theirs = config_.companions((*found)->meta);
    if (std::ranges::find(theirs, entry.meta.key) != theirs.end()) giveUp(**found, changes);
  }
}

Status StoreEngine::applyEvictions(Changes changes) {
  if (changes.batch.empty()) return Status();
  Status status = index_.apply(changes.batch);
  status.ok() ? applied(changes, {}) : keepEvicted(changes);
  return status;
}

// The index did not take the evictions: the entries are there still.
void StoreEngine::keepEvicted(const Changes& changes) {
  for (const IndexEntry& entry : changes.evicted) {
    residents_.add(entry.meta, entry.address.length, nowMs());
  }
}

// At least so many live bytes less. False when there is nothing more to give up.
bool StoreEngine::evictSome(uint64_t bytes) {
  const uint64_t before = residents_.live().record;
  Changes changes;
  while (residents_.live().record + bytes > before && evictOne(changes, nullptr)) {
  }
  const bool any = !changes.evicted.empty();
  return applyEvictions(std::move(changes)).ok() && any;
}

// Lets go on what waits for room, as far as there is some, and makes more.
void StoreEngine::relieve() {
  while (!stalled_.empty() && !cleaner_.busy()) {
    keepForNext();
    Status status = log_.append(stalled_.front());
    if (status.code() == ErrorCode::kOutOfSpace) {
      if (makeRoom()) return;
      status = log_.append(stalled_.front());
    }
    if (status.ok()) {
      stalled_.pop_front();
      cleanedInVain_ = 0;
      continue;
    }
    if (stalled_.front().tombstone && status.code() == ErrorCode::kOutOfSpace) {
      keepWordsOfStalled(status);
      continue;
    }
    const AppendRequest request = std::move(stalled_.front());
    stalled_.pop_front();
    if (request.roomFor == RoomFor::kPut) pendingPuts_ -= footprintOf(request);
    const StoreKey key = appends_.extract(request.cookie).mapped();
    StoreCompletion completion;
    completion.cookie = mutations_.at(key).front().cookie;
    completion.status = std::move(status);
    finishMutation(key, std::move(completion));
  }
}

// True when room is on its way: relieve() is called again then. When not, there may be some all the
// same. What recovery could not see may be
// newer than what the index names: written again, an old record would hide it for good.
bool StoreEngine::makeRoom() {
  if (table_.doubtful() || !index_.writable().ok()) return false;
  if (log_.pending() > 0 || table_.waitsForReaders()) return true;
  const bool evicted = cleanedInVain_ > 0 && evictSome(config_.log.segmentBytes / 4);
  if (!evicted && cleanedInVain_ > table_.all().size()) return false;
  Segment* segment = table_.nextToClean(log_.roomForMoves());
  if (segment == nullptr) {
    if (!log_.sealOne().ok()) return false;
    segment = table_.nextToClean(log_.roomForMoves());
  }
  if (segment == nullptr) return false;
  ++cleanedInVain_;
  startCleaning(*segment);
  return true;
}

Status StoreEngine::evict(const IndexEntry& entry, Departure why) {
  Changes changes;
  giveUp(entry, changes, why);
  giveUpCompanions(entry, changes);
  return applyEvictions(std::move(changes));
}

}  // namespace spolia::store
