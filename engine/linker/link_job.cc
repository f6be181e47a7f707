#include "engine/linker/link_job.h"

#include <algorithm>
#include <utility>

#include "engine/linker/chunk_compiler.h"

namespace spolia::engine {

namespace {

double millisecondsBetween(std::chrono::steady_clock::time_point from,
                           std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Of the prompt's chunks, in order. A prefix chunk is named after the one before it.
std::vector<codec::ChunkIdentity> identitiesOf(const Model& model, const Prompt& prompt,
                                               LinkMethod method) {
  std::vector<codec::ChunkIdentity> out;
  std::optional<ChunkId> parent;
  for (const PromptSegment& segment : prompt.segments) {
    if (segment.kind != SegmentKind::kChunk) continue;
    out.push_back(textChunkIdentity(model.fingerprint(), segment.tokens, compileModeOf(method)));
    if (method != LinkMethod::kPrefix) continue;
    out.back().parent = parent;
    parent = codec::chunkIdOf(out.back());
  }
  return out;
}

// The rows of a segment that the plan loads, or null.
const LoadedRows* loadedRows(const LinkPlan& plan, size_t segment) {
  const auto rows = std::ranges::find(plan.loaded, segment, &LoadedRows::segment);
  return rows == plan.loaded.end() ? nullptr : &*rows;
}

std::unique_ptr<KvPages> pagesFor(const LinkParts& parts, uint32_t tokens,
                                  std::vector<PageRef> front) {
  const ModelConfig& config = parts.model.config();
  if (parts.pool == nullptr) {
    return std::make_unique<KvPages>(config, parts.loading.pageType, tokens);
  }
  return std::make_unique<KvPages>(config, *parts.pool, tokens, std::move(front));
}

}  // namespace

uint32_t shareableRows(const Prompt& prompt, LinkMethod method) {
  if (method == LinkMethod::kFull || prompt.rows() == 0) return 0;
  uint32_t rows = 0;
  for (const PromptSegment& segment : prompt.segments) {
    if (segment.kind == SegmentKind::kChunk && method != LinkMethod::kPrefix) break;
    rows += static_cast<uint32_t>(segment.tokens.size());
  }
  return std::min(rows, prompt.rows() - 1);
}

// One segment's chunk.
struct LinkJob::Chunk {
  size_t segment = 0;
  codec::ChunkIdentity identity;
  ChunkId id;
  std::shared_ptr<const codec::StreamHeader> header;
  std::shared_ptr<const codec::Profile> profile;
  Status status;  // ok while it can be loaded
  std::optional<size_t> load;
  ChunkProvenance provenance;
};

LinkJob::LinkJob(const LinkParts& parts, Prompt prompt, const LinkOptions& options,
                 std::vector<PageRef> front)
    : parts_(parts),
      prompt_(std::move(prompt)),
      options_(options),
      tokens_(prompt_.tokens()),
      resident_(static_cast<uint32_t>(front.size()) * PagePool::kPageTokens),
      startedAt_(Clock::now()) {
  linked_.pages = pagesFor(parts_, prompt_.rows() + options_.spareRows, std::move(front));
  linked_.rows = prompt_.rows();
  linked_.provenance.method = options_.method;
  linked_.provenance.k = options_.method == LinkMethod::kFirstK ? options_.k : 0;
  nameChunks();
  plan_ = plan();
  if (parts_.source == nullptr || chunks_.empty() || options_.method == LinkMethod::kFull) return;
  std::vector<ChunkId> ids;
  for (const Chunk& chunk : chunks_) ids.push_back(chunk.id);
  loader_.emplace(*parts_.source, parts_.threads, parts_.router, parts_.profiles,
                  options_.patience);
  loader_->open(std::move(ids));
}

LinkJob::~LinkJob() = default;

void LinkJob::nameChunks() {
  std::vector<codec::ChunkIdentity> identities =
      identitiesOf(parts_.model, prompt_, options_.method);
  for (size_t i = 0; i < prompt_.segments.size(); ++i) {
    const PromptSegment& segment = prompt_.segments[i];
    if (segment.kind != SegmentKind::kChunk) continue;
    Chunk chunk;
    chunk.segment = i;
    chunk.identity = std::move(identities[chunks_.size()]);
    chunk.id = codec::chunkIdOf(chunk.identity);
    chunk.provenance.name = segment.name;
    chunk.provenance.id = chunk.id;
    chunk.provenance.rows = static_cast<uint32_t>(segment.tokens.size());
    chunks_.push_back(std::move(chunk));
  }
}

Status LinkJob::checkHeader(const codec::StreamHeader& header, const PromptSegment& segment) const {
  if (header.identity.tokens != segment.tokens) {
    return Status(ErrorCode::kInvalidArgument, "stored under this id, but of other tokens");
  }
  if (header.layers != parts_.model.kvShape()) {
    return Status(ErrorCode::kInvalidArgument, "stored with another shape than the model's");
  }
  if (header.kForm != codec::KForm::kPreRope) {
    return Status(ErrorCode::kUnsupported, "stored with rotated keys");
  }
  return Status();
}

// Which chunks can be loaded is known: the first pass begins.
Status LinkJob::finishOpening() {
  for (size_t i = 0; i < chunks_.size() && options_.method != LinkMethod::kFull; ++i) {
    Chunk& chunk = chunks_[i];
    if (!loader_) {
      chunk.status = Status(ErrorCode::kNotFound, "no store");
      continue;
    }
    const OpenedChunk& opened = loader_->opened()[i];
    chunk.status = opened.status;
    if (!chunk.status.ok()) continue;
    chunk.header = opened.header;
    chunk.profile = opened.profile;
    chunk.provenance.bytesRead = opened.bytesRead;
    chunk.provenance.tier = opened.tier;
    chunk.status = checkHeader(*chunk.header, prompt_.segments[chunk.segment]);
  }
  breakChain();
  openedAt_ = Clock::now();
  linked_.provenance.openMs = millisecondsBetween(startedAt_, openedAt_);
  plan_ = plan();
  loads_ = !plan_.loaded.empty();
  if (loads_) startLoading();
  return beginPass();
}

// Behind the first prefix chunk that cannot be had nothing can be: everything there is computed.
void LinkJob::breakChain() {
  if (options_.method != LinkMethod::kPrefix) return;
  bool broken = false;
  for (Chunk& chunk : chunks_) {
    if (broken && chunk.status.ok()) {
      chunk.status = Status(ErrorCode::kNotFound, "behind a part of the prefix that is missing");
    }
    broken = broken || !chunk.status.ok();
  }
}

LinkPlan LinkJob::plan() const {
  std::vector<PlanSegment> segments;
  for (const PromptSegment& segment : prompt_.segments) {
    segments.push_back({static_cast<uint32_t>(segment.tokens.size()), false});
  }
  for (const Chunk& chunk : chunks_) {
    segments[chunk.segment].stored = chunk.status.ok() && chunk.header != nullptr;
  }
  return makeLinkPlan(segments, options_.method, options_.k, resident_);
}

void LinkJob::startLoading() {
  std::vector<ChunkLoad> loads;
  for (Chunk& chunk : chunks_) {
    const LoadedRows* rows = loadedRows(plan_, chunk.segment);
    if (rows == nullptr) continue;
    chunk.load = loads.size();
    loads.push_back({chunk.id, chunk.header, *rows, chunk.profile});
  }
  loader_->start(std::move(loads), parts_.loading);
}

// Embeds what the plan computes.
Status LinkJob::beginPass() {
  stage_ = Stage::kPass;
  layer_ = 0;
  row_ = 0;
  ++linked_.provenance.passes;
  std::vector<codec::TokenId> rows;
  rows.reserve(plan_.computed.size());
  for (uint32_t position : plan_.computed) rows.push_back(tokens_[position]);
  SPOLIA_ASSIGN_OR_RETURN(
      pass_, parts_.transformer.begin(rows, plan_.computed, OutputRows::kLast, options_.blockRows));
  return loads_ ? deriveFirstLayer() : Status();
}

// What the loaded chunks leave to their reader, computed while they are on their way.
Status LinkJob::deriveFirstLayer() {
  std::vector<codec::TokenId> tokens;
  std::vector<uint32_t> positions;
  for (const Chunk& chunk : chunks_) {
    const LoadedRows* rows = loadedRows(plan_, chunk.segment);
    if (rows == nullptr || chunk.header->derivedLayers == 0) continue;
    const uint32_t begin = rows->firstPosition + rows->rowBegin;
    for (uint32_t position = begin; position < begin + rows->rows(); ++position) {
      tokens.push_back(tokens_[position]);
      positions.push_back(position);
    }
  }
  return parts_.transformer.writeFirstLayer(tokens, positions, *linked_.pages);
}

Result<LinkStep> LinkJob::step(size_t mostRows) {
  switch (stage_) {
    case Stage::kOpening:
      if (loader_ && !loader_->openSettled()) return LinkStep{LinkState::kWaiting, 0};
      SPOLIA_RETURN_IF_ERROR(finishOpening());
      return LinkStep{};
    case Stage::kPass:
      return stepPass(mostRows);
    case Stage::kDropping:
      return stepDropping();
    case Stage::kDone:
      break;
  }
  return LinkStep{LinkState::kDone, 0};
}

Result<LinkStep> LinkJob::stepPass(size_t mostRows) {
  if (row_ == 0 && loads_) {
    switch (loader_->layerState(layer_)) {
      case ChunkLoader::Layer::kWaiting:
        return LinkStep{LinkState::kWaiting, 0};
      case ChunkLoader::Layer::kFailed:
        stage_ = Stage::kDropping;
        return LinkStep{};
      case ChunkLoader::Layer::kReady:
        loader_->importLayer(layer_, *linked_.pages);
    }
  }
  const size_t count = std::min({mostRows, options_.blockRows, pass_.rows() - row_});
  parts_.transformer.runRows(pass_, layer_, row_, count, *linked_.pages);
  row_ += count;
  if (row_ == pass_.rows()) {
    row_ = 0;
    ++layer_;
  }
  if (layer_ < parts_.model.config().layers) return LinkStep{LinkState::kWorked, count};
  finish();
  return LinkStep{LinkState::kDone, count};
}

// A load failed on the way: a second pass, in which what failed is fresh text, begins when nothing
// can fail any more.
Result<LinkStep> LinkJob::stepDropping() {
  if (!loader_->dropFailed()) return LinkStep{LinkState::kWaiting, 0};
  const std::vector<LoadOutcome> outcomes = loader_->outcomes();
  for (Chunk& chunk : chunks_) {
    if (chunk.load) chunk.status = outcomes[*chunk.load].status;
  }
  breakChain();
  plan_ = plan();
  SPOLIA_RETURN_IF_ERROR(beginPass());
  return LinkStep{};
}

bool LinkJob::canStep() const {
  return !loader_ || loader_->changed();
}

LinkJob::Clock::time_point LinkJob::lateAt() const {
  return loader_ ? loader_->lateAt() : Clock::time_point::max();
}

uint64_t LinkJob::workLeft() const {
  if (stage_ == Stage::kDone) return 0;
  const uint64_t layers = parts_.model.config().layers - layer_;
  return plan_.computed.size() * layers - row_;
}

void LinkJob::finish() {
  linked_.logits = parts_.transformer.logits(pass_, pass_.rows() - 1);
  pass_ = Pass();
  linked_.pages->releaseWorking();
  linked_.provenance.passMs = millisecondsBetween(openedAt_, Clock::now());
  linked_.exactRows = exactRows();
  collectUnstored();
  finishProvenance();
  loader_.reset();
  stage_ = Stage::kDone;
}

// Whether a chunk's rows in the pages are the bits that computing them gives, where what is before
// them is.
bool LinkJob::isExact(const Chunk& chunk) const {
  return loadedRows(plan_, chunk.segment) == nullptr ||
         (options_.method == LinkMethod::kPrefix &&
          chunk.header->preset == codec::Preset::kLossless &&
          chunk.header->elementType == parts_.loading.pageType);
}

uint32_t LinkJob::exactRows() const {
  uint32_t rows = 0;
  auto chunk = chunks_.begin();
  for (size_t i = 0; i < prompt_.segments.size(); ++i) {
    if (chunk != chunks_.end() && chunk->segment == i && !isExact(*chunk++)) break;
    rows += static_cast<uint32_t>(prompt_.segments[i].tokens.size());
  }
  return rows;
}

void LinkJob::finishProvenance() {
  const std::vector<LoadOutcome> outcomes =
      loader_ ? loader_->outcomes() : std::vector<LoadOutcome>();
  Provenance& out = linked_.provenance;
  std::vector<uint32_t> firstRows;
  uint32_t position = 0;
  for (const PromptSegment& segment : prompt_.segments) {
    firstRows.push_back(position);
    position += static_cast<uint32_t>(segment.tokens.size());
  }
  for (Chunk& chunk : chunks_) {
    ChunkProvenance& entry = chunk.provenance;
    const uint32_t first = firstRows[chunk.segment];
    const uint32_t resident = std::min(entry.rows, resident_ - std::min(first, resident_));
    entry.rowsComputed = entry.rows - resident;
    if (chunk.load) {
      entry.bytesRead += outcomes[*chunk.load].bytesRead;
      entry.tier = outcomes[*chunk.load].tier;
    }
    if (const LoadedRows* rows = loadedRows(plan_, chunk.segment)) {
      entry.outcome = ChunkOutcome::kLoaded;
      entry.rowsComputed -= rows->rows();
      entry.preset = chunk.header->preset;
      entry.level = std::min<uint8_t>(parts_.loading.maxLevel, chunk.header->levels - 1);
    } else if (entry.rows > 0 && resident == entry.rows) {
      entry.outcome = ChunkOutcome::kResident;
    } else if (!chunk.status.ok()) {
      entry.outcome = chunkOutcomeOf(chunk.status);
      entry.reason = chunk.status.message();
    }
    out.bytesRead += entry.bytesRead;
    out.chunks.push_back(std::move(entry));
  }
  out.rows = plan_.rows;
  out.rowsComputed = static_cast<uint32_t>(plan_.computed.size());
  out.rowsResident = resident_;
  if (loader_) {
    out.waitedMs = std::chrono::duration<double, std::milli>(loader_->waited()).count();
  }
}

// Only exact pages are written back: those behind loaded rows that lost nothing.
void LinkJob::collectUnstored() {
  if (options_.method != LinkMethod::kPrefix || parts_.source == nullptr) return;
  uint32_t position = 0;
  for (const Chunk& chunk : chunks_) {
    if (!isExact(chunk)) return;
    if (!chunk.header || !chunk.status.ok()) linked_.unstored.push_back({chunk.identity, position});
    position += chunk.identity.rows();
  }
}

}  // namespace spolia::engine
