#include "engine/linker/memory_kv_source.h"

#include <algorithm>
#include <cstring>

namespace spolia::engine {

namespace {

codec::ChunkCompletion answer(uint64_t cookie) {
  codec::ChunkCompletion out;
  out.cookie = cookie;
  return out;
}

codec::ChunkCompletion absent(uint64_t cookie, const ChunkId& id) {
  codec::ChunkCompletion out = answer(cookie);
  out.status = Status(ErrorCode::kNotFound, "no entry " + id.hex());
  return out;
}

bool finer(const codec::EntryInfo& a, const codec::EntryInfo& b) {
  return a.preset < b.preset || (a.preset == b.preset && a.levels > b.levels);
}

}  // namespace

std::shared_ptr<const MemoryKvSource::Entry> MemoryKvSource::find(const ChunkId& id) const {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second;
}

void MemoryKvSource::submitOpen(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  const auto entry = find(id);
  if (!entry || !entry->header) return queue.push(absent(cookie, id));
  codec::ChunkCompletion out = answer(cookie);
  out.header = entry->header;
  out.bytes = AlignedBuffer::copyOf(entry->bytes.span().first(entry->header->headerBytes));
  out.tier = codec::Tier::kMemory;
  out.bytesRead = out.bytes.size();
  out.info = entry->info;
  queue.push(std::move(out));
}

void MemoryKvSource::submitFetch(const ChunkId& id, const codec::KvRange& range, uint64_t cookie,
                                 codec::ChunkQueue& queue) {
  const auto entry = find(id);
  if (!entry || !entry->header) return queue.push(absent(cookie, id));
  codec::ChunkCompletion out = answer(cookie);
  out.header = entry->header;
  out.tier = codec::Tier::kMemory;
  out.info = entry->info;
  uint32_t size = 0;
  for (uint32_t index : codec::coveringFrames(*entry->header, range)) {
    out.frames.push_back({index, size, entry->header->frames[index].size});
    size += entry->header->frames[index].size;
  }
  out.bytes = AlignedBuffer(size);
  for (const codec::FrameSlice& slice : out.frames) {
    const uint64_t offset = entry->header->frames[slice.index].offset;
    std::memcpy(out.bytes.data() + slice.offset, entry->bytes.data() + offset, slice.size);
  }
  out.bytesRead = size;
  queue.push(std::move(out));
}

void MemoryKvSource::submitStore(AlignedBuffer stream, codec::PutMode mode, uint64_t cookie,
                                 codec::ChunkQueue& queue) {
  codec::ChunkCompletion out = answer(cookie);
  auto header = codec::verifyStream(stream.span());
  if (!header.ok()) {
    out.status = header.status();
    return queue.push(std::move(out));
  }
  auto entry = std::make_shared<Entry>();
  entry->header = std::make_shared<codec::StreamHeader>(*std::move(header));
  entry->info = {entry->header->chunkId,
                 codec::EntryKind::kChunk,
                 stream.size(),
                 entry->header->tokens(),
                 entry->header->preset,
                 entry->header->levels,
                 {}};
  entry->bytes = std::move(stream);
  {
    std::lock_guard lock(mutex_);
    auto& slot = entries_[entry->info.id];
    const bool replaces = !slot || mode == codec::PutMode::kReplace ||
                          (mode == codec::PutMode::kIfFiner && finer(entry->info, slot->info));
    out.outcome = !slot      ? codec::PutOutcome::kStored
                  : replaces ? codec::PutOutcome::kReplaced
                             : codec::PutOutcome::kExists;
    if (replaces) slot = entry;
    out.info = slot->info;
  }
  queue.push(std::move(out));
}

void MemoryKvSource::submitRemove(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  bool removed;
  {
    std::lock_guard lock(mutex_);
    removed = entries_.erase(id) > 0;
  }
  queue.push(removed ? answer(cookie) : absent(cookie, id));
}

void MemoryKvSource::submitPutValue(ValueToStore value, uint64_t cookie, codec::ChunkQueue& queue) {
  auto entry = std::make_shared<Entry>();
  entry->info.id = value.id;
  entry->info.kind = value.kind;
  entry->info.bytes = value.bytes.size();
  entry->info.label = std::move(value.label);
  entry->bytes = std::move(value.bytes);
  codec::ChunkCompletion out = answer(cookie);
  {
    std::lock_guard lock(mutex_);
    auto& slot = entries_[value.id];
    const bool replaces = !slot || value.mode == codec::PutMode::kReplace;
    out.outcome = !slot      ? codec::PutOutcome::kStored
                  : replaces ? codec::PutOutcome::kReplaced
                             : codec::PutOutcome::kExists;
    if (replaces) slot = entry;
    out.info = slot->info;
  }
  queue.push(std::move(out));
}

void MemoryKvSource::submitGetValue(const ChunkId& id, uint64_t cookie, codec::ChunkQueue& queue) {
  const auto entry = find(id);
  if (!entry) return queue.push(absent(cookie, id));
  codec::ChunkCompletion out = answer(cookie);
  out.bytes = AlignedBuffer::copyOf(entry->bytes.span());
  out.tier = codec::Tier::kMemory;
  out.bytesRead = out.bytes.size();
  out.info = entry->info;
  queue.push(std::move(out));
}

Result<codec::EntryPage> MemoryKvSource::list(codec::EntryKind kind, const std::string& cursor,
                                              size_t limit) {
  std::lock_guard lock(mutex_);
  codec::EntryPage page;
  auto at = entries_.begin();
  if (!cursor.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(auto bytes, digestFromHex(cursor));
    at = entries_.lower_bound(ChunkId{bytes});
  }
  for (; at != entries_.end(); ++at) {
    if (page.entries.size() == limit) {
      page.next = at->first.hex();
      break;
    }
    if (at->second->info.kind == kind) page.entries.push_back(at->second->info);
  }
  return page;
}

Result<codec::StoreStats> MemoryKvSource::stats() {
  std::lock_guard lock(mutex_);
  codec::StoreStats out;
  out.location = "memory";
  out.entries = entries_.size();
  for (const auto& [id, entry] : entries_) out.usedBytes += entry->bytes.size();
  return out;
}

size_t MemoryKvSource::entries() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace spolia::engine
