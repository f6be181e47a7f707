// The Index in memory, with a log of batches so that a crash can take the last ones back: after a
// power loss RocksDB, too, has a prefix of what was applied.
#pragma once

#include <map>
#include <vector>

#include "server/store/index/index.h"

namespace spolia::test {

class MapIndex final : public store::Index {
 public:
  Result<std::optional<store::IndexEntry>> find(const StoreKey& key) override {
    const auto it = entries_.find(key);
    return it == entries_.end() ? std::nullopt : std::optional(it->second);
  }
  Status scan(const StoreKey& from,
              const std::function<bool(const store::IndexEntry&)>& visit) override {
    for (auto it = entries_.lower_bound(from); it != entries_.end(); ++it) {
      if (!visit(it->second)) break;
    }
    return Status();
  }
  Result<std::vector<store::SegmentMark>> marks() override {
    std::vector<store::SegmentMark> out;
    for (const auto& [id, mark] : marks_) out.push_back(mark);
    return out;
  }
  Status apply(const store::IndexBatch& batch) override {
    SPOLIA_RETURN_IF_ERROR(writable_);
    log_.push_back(batch);
    play(batch);
    return Status();
  }
  Status writable() override { return writable_; }
  uint64_t diskBytes() override { return diskBytes_; }

  // From now on; success lets it be written again.
  void setWritable(Status status) { writable_ = std::move(status); }
  void setDiskBytes(uint64_t bytes) { diskBytes_ = bytes; }
  size_t batches() const { return log_.size(); }
  // Forgets all but the first `kept` batches.
  void crash(size_t kept) {
    log_.resize(kept);
    entries_.clear();
    marks_.clear();
    for (const store::IndexBatch& batch : log_) play(batch);
  }

 private:
  void play(const store::IndexBatch& batch) {
    for (const store::IndexEntry& entry : batch.puts) entries_[entry.meta.key] = entry;
    for (const StoreKey& key : batch.removes) entries_.erase(key);
    for (const store::SegmentMark& mark : batch.marks) marks_[mark.segment] = mark;
  }

  Status writable_;
  uint64_t diskBytes_ = 0;
  std::vector<store::IndexBatch> log_;
  std::map<StoreKey, store::IndexEntry> entries_;
  std::map<store::SegmentId, store::SegmentMark> marks_;
};

}  // namespace spolia::test
