#include "engine/linker/chunk_loader.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "codec/profile_entry.h"
#include "engine/transformer/dense_kv.h"

namespace spolia::engine {

namespace {

codec::KvRange rangeOf(const LayerSpan& layers, const LoadedRows& rows, uint8_t maxLevel) {
  codec::KvRange range;
  range.layerBegin = layers.begin;
  range.layerEnd = layers.end;
  range.tokenBegin = rows.rowBegin;
  range.tokenEnd = rows.rowEnd;
  range.maxLevel = maxLevel;
  return range;
}

uint64_t frameBytes(const codec::StreamHeader& header, const codec::KvRange& range) {
  uint64_t sum = 0;
  for (uint32_t index : codec::coveringFrames(header, range)) sum += header.frames[index].size;
  return sum;
}

// `lossless` decodes only into types that hold its values.
codec::ElementType stagingType(const codec::StreamHeader& header, codec::ElementType pageType) {
  if (header.preset != codec::Preset::kLossless || header.elementType == pageType) return pageType;
  return codec::ElementType::kF32;
}

// kCorrupt unless the completion has exactly the frames that cover the range.
Status checkFrames(const codec::StreamHeader& header, const codec::KvRange& range,
                   const codec::ChunkCompletion& done) {
  const std::vector<uint32_t> expected = codec::coveringFrames(header, range);
  if (!std::ranges::equal(expected, done.frames, {}, {}, &codec::FrameSlice::index)) {
    return Status(ErrorCode::kCorrupt, "the answer has other frames than were asked");
  }
  for (const codec::FrameSlice& slice : done.frames) {
    if (uint64_t{slice.offset} + slice.size > done.bytes.size()) {
      return Status(ErrorCode::kCorrupt, "the answer has a frame outside of its bytes");
    }
  }
  return Status();
}

}  // namespace

std::vector<LayerSpan> fetchSpans(const codec::StreamHeader& header, const LoadedRows& rows,
                                  uint64_t minBytes, uint8_t maxLevel) {
  const uint32_t layers = static_cast<uint32_t>(header.layers.size());
  std::vector<bool> cuttable(layers + 1, true);  // [i]: between layers i - 1 and i
  for (const std::vector<codec::PlaneRef>& group : header.planeGroups) {
    const auto [first, last] = std::ranges::minmax_element(group, {}, &codec::PlaneRef::layer);
    if (first == group.end()) continue;
    for (uint32_t i = first->layer + 1; i <= last->layer; ++i) cuttable[i] = false;
  }
  std::vector<LayerSpan> out;
  uint32_t begin = 0;
  for (uint32_t end = 1; end <= layers; ++end) {
    if (!cuttable[end]) continue;
    const LayerSpan span{begin, end};
    const uint64_t bytes = frameBytes(header, rangeOf(span, rows, maxLevel));
    if (end < layers && bytes < minBytes) continue;
    out.push_back(span);
    begin = end;
  }
  return out;
}

// The state of the loads of one request, shared with decoding tasks, which may outlive it.
class ChunkLoader::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::vector<ChunkLoad> loads, const Config& config)
      : loads_(std::move(loads)), maxLevel_(config.maxLevel) {
    outcomes_.resize(loads_.size());
    for (size_t i = 0; i < loads_.size(); ++i) {
      for (const LayerSpan& span :
           fetchSpans(*loads_[i].header, loads_[i].rows, config.minFetchBytes, maxLevel_)) {
        units_.push_back(std::make_unique<Unit>());
        Unit& unit = *units_.back();
        unit.load = i;
        unit.layers = span;
        unit.type = stagingType(*loads_[i].header, config.pageType);
      }
    }
    std::ranges::stable_sort(units_, {}, [](const auto& unit) { return unit->layers.begin; });
  }

  // Units not asked for yet that begin at or before `layer`, now marked as asked.
  std::vector<uint32_t> takeUpTo(uint32_t layer) {
    std::lock_guard lock(mutex_);
    std::vector<uint32_t> out;
    for (; next_ < units_.size() && units_[next_]->layers.begin <= layer; ++next_) {
      if (outcomes_[units_[next_]->load].status.ok()) out.push_back(next_);
    }
    return out;
  }
  const ChunkId& idOf(uint32_t unit) const { return loads_[units_[unit]->load].id; }
  codec::KvRange rangeOfUnit(uint32_t index) const {
    const Unit& unit = *units_[index];
    return rangeOf(unit.layers, loads_[unit.load].rows, maxLevel_);
  }

  // Router thread: a fetch was answered.
  void onFetched(uint32_t index, codec::ChunkCompletion done, ThreadPool& pool) {
    const size_t load = units_[index]->load;
    {
      std::lock_guard lock(mutex_);
      outcomes_[load].bytesRead += done.bytesRead;
      if (done.status.ok()) outcomes_[load].tier = done.tier;
      if (!outcomes_[load].status.ok()) return;
      outcomes_[load].status = done.status;
    }
    if (!done.status.ok()) return;
    auto shared = std::make_shared<codec::ChunkCompletion>(std::move(done));
    pool.submit([self = shared_from_this(), index, shared, &pool] {
      self->decode(index, *shared);
      pool.notify();
    });
  }

  // True when nothing has to be waited for: the layer is decoded everywhere, or a load failed.
  bool settledAt(uint32_t layer) const {
    std::lock_guard lock(mutex_);
    return anyFailed() || std::ranges::all_of(units_, [&](const auto& unit) {
             return !covers(*unit, layer) || unit->decoded || dropped(*unit);
           });
  }
  bool settled() const {
    std::lock_guard lock(mutex_);
    return std::ranges::all_of(units_, [&](const auto& unit) {
      return unit->decoded || !outcomes_[unit->load].status.ok();
    });
  }
  // Fails every load that is not decoded up to and including `layer`.
  void expire(uint32_t layer) {
    std::lock_guard lock(mutex_);
    for (const auto& unit : units_) {
      LoadOutcome& outcome = outcomes_[unit->load];
      if (unit->decoded || unit->layers.begin > layer || !outcome.status.ok()) continue;
      outcome.status = Status(ErrorCode::kDeadlineExceeded, "not loaded in time");
    }
  }
  bool failed() const {
    std::lock_guard lock(mutex_);
    return anyFailed();
  }
  void dropFailed() {
    std::lock_guard lock(mutex_);
    dropped_.resize(outcomes_.size());
    for (size_t i = 0; i < outcomes_.size(); ++i) dropped_[i] = !outcomes_[i].status.ok();
  }

  // Only when settledAt(layer) and nothing failed.
  void import(uint32_t layer, KvPages& pages, ThreadPool& pool) {
    std::vector<Unit*> due;
    for (const auto& unit : units_) {
      if (!covers(*unit, layer) || isDropped(unit->load) || unit->imported > layer) continue;
      if (layer < loads_[unit->load].header->derivedLayers) continue;
      due.push_back(unit.get());
    }
    pool.parallelFor(due.size(), [&](size_t i) {
      Unit& unit = *due[i];
      const LoadedRows& rows = loads_[unit.load].rows;
      pages.importRows(layer, rows.firstPosition + rows.rowBegin, rows.rows(),
                       unit.staging.view(layer - unit.layers.begin));
      unit.imported = layer + 1;
      if (unit.imported == unit.layers.end) unit.staging = DenseKv();
    });
  }

  std::vector<LoadOutcome> outcomes() const {
    std::lock_guard lock(mutex_);
    return outcomes_;
  }

 private:
  struct Unit {
    size_t load = 0;
    LayerSpan layers;
    codec::ElementType type = codec::ElementType::kF32;
    DenseKv staging;        // the decoding task's until `decoded`, then the importing thread's
    bool decoded = false;   // under mutex_
    uint32_t imported = 0;  // layers below are in the pages; the importing thread's
  };

  static bool covers(const Unit& unit, uint32_t layer) {
    return unit.layers.begin <= layer && layer < unit.layers.end;
  }
  // With mutex_ held.
  bool dropped(const Unit& unit) const { return !dropped_.empty() && dropped_[unit.load]; }
  bool anyFailed() const {
    for (size_t i = 0; i < outcomes_.size(); ++i) {
      if (!outcomes_[i].status.ok() && (dropped_.empty() || !dropped_[i])) return true;
    }
    return false;
  }
  bool isDropped(size_t load) const {
    std::lock_guard lock(mutex_);
    return !dropped_.empty() && dropped_[load];
  }

  // Pool worker.
  void decode(uint32_t index, const codec::ChunkCompletion& done) {
    Unit& unit = *units_[index];
    const ChunkLoad& load = loads_[unit.load];
    const codec::KvRange range = rangeOf(unit.layers, load.rows, maxLevel_);
    DenseKv staging(load.header->layers.front(), unit.type, unit.layers.end - unit.layers.begin,
                    load.rows.rows());
    Status status = checkFrames(*load.header, range, done);
    std::unique_ptr<codec::DecodeScratch> scratch = takeScratch();
    if (status.ok()) {
      std::vector<codec::FrameBytes> frames;
      for (size_t i = 0; i < done.frames.size(); ++i) frames.push_back(done.frame(i));
      status = codec::decodeFrames(*load.header, frames, range, staging.target(),
                                   load.profile.get(), scratch.get());
    }
    std::lock_guard lock(mutex_);
    scratches_.push_back(std::move(scratch));
    if (status.ok()) {
      unit.staging = std::move(staging);
      unit.decoded = true;
    } else if (outcomes_[unit.load].status.ok()) {
      outcomes_[unit.load].status = status;
    }
  }

  // One that nobody decodes with now; as many are made as workers decode at a time.
  std::unique_ptr<codec::DecodeScratch> takeScratch() {
    std::lock_guard lock(mutex_);
    if (scratches_.empty()) return std::make_unique<codec::DecodeScratch>();
    std::unique_ptr<codec::DecodeScratch> out = std::move(scratches_.back());
    scratches_.pop_back();
    return out;
  }

  const std::vector<ChunkLoad> loads_;
  const uint8_t maxLevel_;
  std::vector<std::unique_ptr<Unit>> units_;  // by first layer, then in order of loads
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<codec::DecodeScratch>> scratches_;  // under mutex_: idle ones
  uint32_t next_ = 0;                  // under mutex_: units before it were asked for
  std::vector<LoadOutcome> outcomes_;  // under mutex_; one per load
  std::vector<bool> dropped_;          // under mutex_; one per load, or empty
};

ChunkLoader::ChunkLoader(KvSource& source, ThreadPool& pool,
                         std::shared_ptr<const codec::Profile> profile)
    : source_(source),
      pool_(pool),
      profiles_(std::move(profile)),
      router_([this] { pool_.notify(); }) {}

ChunkLoader::~ChunkLoader() = default;

void ChunkLoader::reset(Patience patience) {
  router_.end();
  session_.reset();
  patience_ = patience;
  waited_ = {};
}

// Helps the pool until `done`, or until all waits of the request together took `budget`; true when
// done.
bool ChunkLoader::waitFor(const std::function<bool()>& done, Patience budget) {
  if (done()) return true;
  const auto start = CompletionRouter::Clock::now();
  // A caller may have as much patience as the type holds; a point in time may not be so far.
  const auto left = std::max(budget - waited_, Patience(0));
  const auto limit = start + std::min<Patience>(left, std::chrono::hours(24));
  router_.setAlarm(limit);
  pool_.helpUntil([&] { return done() || CompletionRouter::Clock::now() >= limit; });
  router_.clearAlarm();
  waited_ += CompletionRouter::Clock::now() - start;
  return done();
}

// The answers to `count` requests; what does not come in the time for headers is late.
std::vector<codec::ChunkCompletion> ChunkLoader::ask(size_t count, const Request& request) {
  struct Answers {
    std::mutex mutex;
    std::vector<codec::ChunkCompletion> all;
    size_t missing;
  };
  auto answers = std::make_shared<Answers>();
  answers->all.resize(count);
  for (codec::ChunkCompletion& late : answers->all) {
    late.status = Status(ErrorCode::kDeadlineExceeded, "no answer in time");
  }
  answers->missing = count;
  router_.begin([answers](uint32_t index, codec::ChunkCompletion done) {
    std::lock_guard lock(answers->mutex);
    answers->all[index] = std::move(done);
    --answers->missing;
  });
  for (uint32_t i = 0; i < count; ++i) {
    router_.submit(i,
                   [&](uint64_t cookie, codec::ChunkQueue& queue) { request(i, cookie, queue); });
  }
  waitFor(
      [&] {
        std::lock_guard lock(answers->mutex);
        return answers->missing == 0;
      },
      patience_ / 4);
  router_.end();
  return std::move(answers->all);
}

std::vector<OpenedChunk> ChunkLoader::open(std::span<const ChunkId> ids) {
  std::vector<OpenedChunk> out;
  const auto request = [&](uint32_t i, uint64_t cookie, codec::ChunkQueue& queue) {
    source_.submitOpen(ids[i], cookie, queue);
  };
  for (codec::ChunkCompletion& done : ask(ids.size(), request)) {
    if (done.status.ok() && !done.header) {
      done.status = Status(ErrorCode::kInternal, "the source answered without a header");
    }
    out.push_back({done.status, std::move(done.header), done.tier, done.bytesRead, nullptr});
  }
  fetchProfiles(out);
  return out;
}

void ChunkLoader::fetchProfiles(std::vector<OpenedChunk>& chunks) {
  std::map<Sha256Digest, Status> missing;
  const auto needs = [](const OpenedChunk& chunk) {
    return chunk.status.ok() && !chunk.header->profile.isZero();
  };
  for (const OpenedChunk& chunk : chunks) {
    if (needs(chunk) && !profiles_.find(chunk.header->profile)) missing[chunk.header->profile];
  }
  if (!missing.empty()) {
    std::vector<Sha256Digest> ids;
    for (const auto& [id, status] : missing) ids.push_back(id);
    const std::vector<codec::ChunkCompletion> got =
        ask(ids.size(), [&](uint32_t i, uint64_t cookie, codec::ChunkQueue& queue) {
          source_.submitGetValue(codec::profileEntryId(ids[i]), cookie, queue);
        });
    for (size_t i = 0; i < ids.size(); ++i) {
      missing[ids[i]] =
          got[i].status.ok() ? profiles_.add(ids[i], got[i].bytes.span()) : got[i].status;
    }
  }
  for (OpenedChunk& chunk : chunks) {
    if (!needs(chunk)) continue;
    const Sha256Digest& id = chunk.header->profile;
    chunk.profile = profiles_.find(id);
    if (!chunk.profile) chunk.status = missing[id].withContext("profile " + id.hex());
  }
}

void ChunkLoader::start(std::vector<ChunkLoad> loads, const Config& config) {
  config_ = config;
  session_ = std::make_shared<Session>(std::move(loads), config);
  router_.begin([session = session_, this](uint32_t index, codec::ChunkCompletion done) {
    session->onFetched(index, std::move(done), pool_);
  });
  submitUpTo(config_.lookaheadLayers);
}

void ChunkLoader::submitUpTo(uint32_t layer) {
  for (uint32_t unit : session_->takeUpTo(layer)) {
    router_.submit(unit, [&](uint64_t cookie, codec::ChunkQueue& queue) {
      source_.submitFetch(session_->idOf(unit), session_->rangeOfUnit(unit), cookie, queue);
    });
  }
}

bool ChunkLoader::importLayer(uint32_t layer, KvPages& pages) {
  submitUpTo(layer + config_.lookaheadLayers);
  const auto settled = [&] { return session_->settledAt(layer); };
  if (!waitFor(settled, patience_ / 4 * 3)) session_->expire(layer);
  if (session_->failed()) return false;
  session_->import(layer, pages, pool_);
  return true;
}

void ChunkLoader::dropFailed() {
  submitUpTo(UINT32_MAX);
  const auto settled = [&] { return session_->settled(); };
  if (!waitFor(settled, patience_)) session_->expire(UINT32_MAX);
  session_->dropFailed();
}

std::vector<LoadOutcome> ChunkLoader::outcomes() const {
  return session_ ? session_->outcomes() : std::vector<LoadOutcome>();
}

}  // namespace spolia::engine
