#include "engine/linker/chunk_loader.h"

#include <algorithm>
#include <atomic>
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

bool needsProfile(const OpenedChunk& chunk) {
  return chunk.status.ok() && !chunk.header->profile.isZero();
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

// What has come of the questions asked together.
struct ChunkLoader::Answers {
  explicit Answers(size_t count) : all(count), missing(count) {
    for (codec::ChunkCompletion& late : all) {
      late.status = Status(ErrorCode::kDeadlineExceeded, "no answer in time");
    }
  }
  bool complete() const {
    std::lock_guard lock(mutex);
    return missing == 0;
  }

  mutable std::mutex mutex;
  std::vector<codec::ChunkCompletion> all;  // under mutex
  size_t missing;                           // under mutex
};

ChunkLoader::ChunkLoader(KvSource& source, ThreadPool& pool, CompletionRouter& router,
                         ChunkProfiles& profiles, Patience patience)
    : source_(source), pool_(pool), router_(router), profiles_(profiles), patience_(patience) {}

ChunkLoader::~ChunkLoader() {
  closeGroup();
}

void ChunkLoader::closeGroup() {
  if (group_) router_.close(*group_);
  group_.reset();
}

// Whether `done`, or all waits of the request together took `budget`.
ChunkLoader::Wait ChunkLoader::wait(std::function<bool()> done, Patience budget) {
  const bool over = done();
  const auto now = Clock::now();
  if (!over && !awaited_) {
    waitingSince_ = now;
    // A caller may have as much patience as the type holds; a point in time may not be so far.
    const auto left = std::max(budget - waited_, Patience(0));
    lateAt_ = now + std::min<Patience>(left, std::chrono::hours(24));
  }
  if (!over && now < lateAt_) {
    awaited_ = std::move(done);
    return Wait::kGoesOn;
  }
  if (awaited_) waited_ += now - waitingSince_;
  awaited_ = nullptr;
  lateAt_ = Clock::time_point::max();
  return over ? Wait::kOver : Wait::kLate;
}

bool ChunkLoader::changed() const {
  return !awaited_ || awaited_() || Clock::now() >= lateAt_;
}

void ChunkLoader::ask(size_t count, const Request& request) {
  answers_ = std::make_shared<Answers>(count);
  group_ = router_.open([answers = answers_](uint32_t index, codec::ChunkCompletion done) {
    std::lock_guard lock(answers->mutex);
    answers->all[index] = std::move(done);
    --answers->missing;
  });
  for (uint32_t i = 0; i < count; ++i) {
    router_.submit(*group_, i,
                   [&](uint64_t cookie, codec::ChunkQueue& queue) { request(i, cookie, queue); });
  }
}

std::vector<codec::ChunkCompletion> ChunkLoader::takeAnswers() {
  closeGroup();
  const auto answers = std::exchange(answers_, nullptr);
  return std::move(answers->all);
}

void ChunkLoader::open(std::vector<ChunkId> ids) {
  ids_ = std::move(ids);
  ask(ids_.size(), [this](uint32_t i, uint64_t cookie, codec::ChunkQueue& queue) {
    source_.submitOpen(ids_[i], cookie, queue);
  });
}

bool ChunkLoader::openSettled() {
  while (answers_) {
    const auto done = [answers = answers_] { return answers->complete(); };
    if (wait(done, patience_ / 4) == Wait::kGoesOn) return false;
    headersTaken_ ? takeProfiles() : takeHeaders();
  }
  return true;
}

void ChunkLoader::takeHeaders() {
  headersTaken_ = true;
  for (codec::ChunkCompletion& done : takeAnswers()) {
    if (done.status.ok() && !done.header) {
      done.status = Status(ErrorCode::kInternal, "the source answered without a header");
    }
    opened_.push_back({done.status, std::move(done.header), done.tier, done.bytesRead, nullptr});
  }
  askForProfiles();
}

void ChunkLoader::askForProfiles() {
  std::vector<Sha256Digest> ids;
  for (const OpenedChunk& chunk : opened_) {
    if (!needsProfile(chunk) || profiles_.find(chunk.header->profile)) continue;
    if (missingProfiles_.emplace(chunk.header->profile, Status()).second) {
      ids.push_back(chunk.header->profile);
    }
  }
  if (ids.empty()) return takeProfiles();
  std::ranges::sort(ids);
  ask(ids.size(), [&](uint32_t i, uint64_t cookie, codec::ChunkQueue& queue) {
    source_.submitGetValue(codec::profileEntryId(ids[i]), cookie, queue);
  });
}

void ChunkLoader::takeProfiles() {
  if (!missingProfiles_.empty()) {
    const std::vector<codec::ChunkCompletion> got = takeAnswers();
    size_t i = 0;
    for (auto& [id, status] : missingProfiles_) {  // in the order of the questions
      status = got[i].status.ok() ? profiles_.add(id, got[i].bytes.span()) : got[i].status;
      ++i;
    }
  }
  for (OpenedChunk& chunk : opened_) {
    if (!needsProfile(chunk)) continue;
    const Sha256Digest& id = chunk.header->profile;
    chunk.profile = profiles_.find(id);
    if (!chunk.profile) chunk.status = missingProfiles_[id].withContext("profile " + id.hex());
  }
}

void ChunkLoader::start(std::vector<ChunkLoad> loads, const Config& config) {
  config_ = config;
  session_ = std::make_shared<Session>(std::move(loads), config);
  group_ = router_.open(
      [session = session_, &pool = pool_](uint32_t index, codec::ChunkCompletion done) {
        session->onFetched(index, std::move(done), pool);
      });
  submitUpTo(config_.lookaheadLayers);
}

void ChunkLoader::submitUpTo(uint32_t layer) {
  for (uint32_t unit : session_->takeUpTo(layer)) {
    router_.submit(*group_, unit, [&](uint64_t cookie, codec::ChunkQueue& queue) {
      source_.submitFetch(session_->idOf(unit), session_->rangeOfUnit(unit), cookie, queue);
    });
  }
}

ChunkLoader::Layer ChunkLoader::layerState(uint32_t layer) {
  submitUpTo(layer + config_.lookaheadLayers);
  const auto settled = [session = session_, layer] { return session->settledAt(layer); };
  const Wait state = wait(settled, patience_ / 4 * 3);
  if (state == Wait::kGoesOn) return Layer::kWaiting;
  if (state == Wait::kLate) session_->expire(layer);
  return session_->failed() ? Layer::kFailed : Layer::kReady;
}

void ChunkLoader::importLayer(uint32_t layer, KvPages& pages) {
  session_->import(layer, pages, pool_);
}

bool ChunkLoader::dropFailed() {
  submitUpTo(UINT32_MAX);
  const Wait state = wait([session = session_] { return session->settled(); }, patience_);
  if (state == Wait::kGoesOn) return false;
  if (state == Wait::kLate) session_->expire(UINT32_MAX);
  session_->dropFailed();
  return true;
}

std::vector<LoadOutcome> ChunkLoader::outcomes() const {
  return session_ ? session_->outcomes() : std::vector<LoadOutcome>();
}

}  // namespace spolia::engine
