#include "engine/linker/linker.h"

#include <algorithm>
#include <utility>

#include "engine/linker/chunk_compiler.h"
#include "engine/transformer/dense_kv.h"

namespace spolia::engine {

namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Pages with the same rows, as if just imported: nothing is rotated yet.
std::unique_ptr<KvPages> copyOf(const KvPages& pages, const ModelConfig& config, uint32_t rows) {
  auto out = std::make_unique<KvPages>(config, pages.pageType(), pages.capacityTokens());
  DenseKv layer(config, pages.pageType(), 1, rows);
  for (uint32_t i = 0; i < config.layers; ++i) {
    pages.exportRows(i, 0, rows, layer.target(0));
    out->importRows(i, 0, rows, layer.view(0));
  }
  return out;
}

}  // namespace

// One segment's chunk on its way through a request.
struct Linker::Request {
  struct Chunk {
    size_t segment = 0;
    codec::ChunkIdentity identity;
    ChunkId id;
    std::shared_ptr<const codec::StreamHeader> header;
    std::shared_ptr<const codec::Profile> profile;
    Status status;  // ok while it can be loaded
    std::optional<size_t> load;
    ChunkProvenance provenance;
  };

  const Prompt& prompt;
  const LinkOptions& options;
  std::vector<codec::TokenId> tokens;
  std::vector<Chunk> chunks;
  LinkedPrompt linked;

  Provenance& provenance() { return linked.provenance; }
};

Linker::Linker(const Model& model, const Transformer& transformer, ThreadPool& pool,
               KvSource* source, Config config)
    : model_(model),
      transformer_(transformer),
      source_(source),
      config_(config),
      shape_(model.kvShape()) {
  if (source != nullptr) loader_.emplace(*source, pool, config_.profile);
}

Result<LinkedPrompt> Linker::link(const Prompt& prompt, const LinkOptions& options) {
  if (options.method != LinkMethod::kPrefix) return linkSegments(prompt, options);
  return linkSegments(cutIntoPrefixChunks(prompt), options);
}

Result<LinkedPrompt> Linker::linkSegments(const Prompt& prompt, const LinkOptions& options) {
  const uint64_t rows = uint64_t{prompt.rows()} + options.spareRows;
  if (rows > model_.config().maxPositions || prompt.rows() == 0) {
    return Status(ErrorCode::kInvalidArgument,
                  "prompt of " + std::to_string(prompt.rows()) + " tokens and " +
                      std::to_string(options.spareRows) + " for the answer: the model has " +
                      std::to_string(model_.config().maxPositions) + " positions");
  }
  Request request{prompt, options, prompt.tokens(), {}, {}};
  request.linked.rows = prompt.rows();
  request.linked.pages =
      std::make_unique<KvPages>(model_.config(), config_.pageType, static_cast<uint32_t>(rows));
  request.provenance().method = options.method;
  request.provenance().k = options.method == LinkMethod::kFirstK ? options.k : 0;
  openChunks(request);
  SPOLIA_RETURN_IF_ERROR(runPasses(request));
  return std::move(request.linked);
}

// Of the prompt's chunks, in order. A prefix chunk is named after the one before it.
std::vector<codec::ChunkIdentity> Linker::identitiesOf(const Prompt& prompt,
                                                       LinkMethod method) const {
  std::vector<codec::ChunkIdentity> out;
  std::optional<ChunkId> parent;
  for (const PromptSegment& segment : prompt.segments) {
    if (segment.kind != SegmentKind::kChunk) continue;
    out.push_back(textChunkIdentity(model_.fingerprint(), segment.tokens, compileModeOf(method)));
    if (method != LinkMethod::kPrefix) continue;
    out.back().parent = parent;
    parent = codec::chunkIdOf(out.back());
  }
  return out;
}

Status Linker::checkHeader(const codec::StreamHeader& header, const PromptSegment& segment) const {
  if (header.identity.tokens != segment.tokens) {
    return Status(ErrorCode::kInvalidArgument, "stored under this id, but of other tokens");
  }
  if (header.layers != shape_) {
    return Status(ErrorCode::kInvalidArgument, "stored with another shape than the model's");
  }
  if (header.kForm != codec::KForm::kPreRope) {
    return Status(ErrorCode::kUnsupported, "stored with rotated keys");
  }
  return Status();
}

// Which chunks can be loaded.
void Linker::openChunks(Request& request) {
  const auto start = Clock::now();
  std::vector<codec::ChunkIdentity> identities =
      identitiesOf(request.prompt, request.options.method);
  for (size_t i = 0; i < request.prompt.segments.size(); ++i) {
    const PromptSegment& segment = request.prompt.segments[i];
    if (segment.kind != SegmentKind::kChunk) continue;
    Request::Chunk chunk;
    chunk.segment = i;
    chunk.identity = std::move(identities[request.chunks.size()]);
    chunk.id = codec::chunkIdOf(chunk.identity);
    chunk.provenance.name = segment.name;
    chunk.provenance.id = chunk.id;
    chunk.provenance.rows = static_cast<uint32_t>(segment.tokens.size());
    request.chunks.push_back(std::move(chunk));
  }
  if (request.options.method == LinkMethod::kFull) return;
  std::vector<OpenedChunk> opened;
  if (loader_) {
    std::vector<ChunkId> ids;
    for (const Request::Chunk& chunk : request.chunks) ids.push_back(chunk.id);
    loader_->reset(request.options.patience);
    opened = loader_->open(ids);
  }
  for (size_t i = 0; i < request.chunks.size(); ++i) {
    Request::Chunk& chunk = request.chunks[i];
    chunk.status = loader_ ? opened[i].status : Status(ErrorCode::kNotFound, "no store");
    if (!chunk.status.ok()) continue;
    chunk.header = opened[i].header;
    chunk.profile = opened[i].profile;
    chunk.provenance.bytesRead = opened[i].bytesRead;
    chunk.provenance.tier = opened[i].tier;
    chunk.status = checkHeader(*chunk.header, request.prompt.segments[chunk.segment]);
  }
  breakChain(request);
  request.provenance().openMs = millisecondsSince(start);
}

// Behind the first prefix chunk that cannot be had nothing can be: everything there is computed.
void Linker::breakChain(Request& request) {
  if (request.options.method != LinkMethod::kPrefix) return;
  bool broken = false;
  for (Request::Chunk& chunk : request.chunks) {
    if (broken && chunk.status.ok()) {
      chunk.status = Status(ErrorCode::kNotFound, "behind a part of the prefix that is missing");
    }
    broken = broken || !chunk.status.ok();
  }
}

LinkPlan Linker::planOf(const Request& request) const {
  std::vector<PlanSegment> segments;
  for (const PromptSegment& segment : request.prompt.segments) {
    segments.push_back({static_cast<uint32_t>(segment.tokens.size()), false});
  }
  for (const Request::Chunk& chunk : request.chunks) {
    segments[chunk.segment].stored = chunk.status.ok() && chunk.header != nullptr;
  }
  return makeLinkPlan(segments, request.options.method, request.options.k);
}

void Linker::startLoading(Request& request, const LinkPlan& plan) {
  std::vector<ChunkLoad> loads;
  for (Request::Chunk& chunk : request.chunks) {
    const auto rows = std::ranges::find(plan.loaded, chunk.segment, &LoadedRows::segment);
    if (rows == plan.loaded.end()) continue;
    chunk.load = loads.size();
    loads.push_back({chunk.id, chunk.header, *rows, chunk.profile});
  }
  loader_->start(std::move(loads), {config_.pageType, config_.lookaheadLayers,
                                    config_.minFetchBytes, config_.maxLevel});
}

// Logits from one pass, or, when a load failed on the way, from a second one in which what failed
// is fresh text. The second begins when nothing can fail any more.
Status Linker::runPasses(Request& request) {
  const auto start = Clock::now();
  LinkPlan plan = planOf(request);
  const bool load = !plan.loaded.empty();
  if (load) startLoading(request, plan);
  SPOLIA_ASSIGN_OR_RETURN(bool complete, runPass(request, plan, load));
  if (!complete) {
    loader_->dropFailed();
    const std::vector<LoadOutcome> outcomes = loader_->outcomes();
    for (Request::Chunk& chunk : request.chunks) {
      if (chunk.load) chunk.status = outcomes[*chunk.load].status;
    }
    breakChain(request);
    plan = planOf(request);
    SPOLIA_ASSIGN_OR_RETURN(complete, runPass(request, plan, load));
    SPOLIA_CHECK(complete);
  }
  request.provenance().passMs = millisecondsSince(start);
  collectUnstored(request, plan);
  finishProvenance(request, plan);
  return Status();
}

// What the loaded chunks leave to their reader, computed while they are on their way.
Status Linker::deriveFirstLayer(Request& request, const LinkPlan& plan) const {
  std::vector<codec::TokenId> tokens;
  std::vector<uint32_t> positions;
  for (const Request::Chunk& chunk : request.chunks) {
    const auto rows = std::ranges::find(plan.loaded, chunk.segment, &LoadedRows::segment);
    if (rows == plan.loaded.end() || chunk.header->derivedLayers == 0) continue;
    const uint32_t begin = rows->firstPosition + rows->rowBegin;
    for (uint32_t position = begin; position < begin + rows->rows(); ++position) {
      tokens.push_back(request.tokens[position]);
      positions.push_back(position);
    }
  }
  return transformer_.writeFirstLayer(tokens, positions, *request.linked.pages);
}

// False when a load failed.
Result<bool> Linker::runPass(Request& request, const LinkPlan& plan, bool load) {
  ++request.provenance().passes;
  std::vector<codec::TokenId> rows;
  rows.reserve(plan.computed.size());
  for (uint32_t position : plan.computed) rows.push_back(request.tokens[position]);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin(rows, plan.computed, OutputRows::kLast));
  if (load) SPOLIA_RETURN_IF_ERROR(deriveFirstLayer(request, plan));
  for (uint32_t layer = 0; layer < model_.config().layers; ++layer) {
    if (load && !loader_->importLayer(layer, *request.linked.pages)) return false;
    transformer_.runLayer(pass, layer, *request.linked.pages);
  }
  request.linked.logits = transformer_.logits(pass, plan.computed.size() - 1);
  return true;
}

void Linker::finishProvenance(Request& request, const LinkPlan& plan) {
  const std::vector<LoadOutcome> outcomes =
      loader_ ? loader_->outcomes() : std::vector<LoadOutcome>();
  Provenance& out = request.provenance();
  for (Request::Chunk& chunk : request.chunks) {
    ChunkProvenance& entry = chunk.provenance;
    entry.rowsComputed = entry.rows;
    if (chunk.load) {
      entry.bytesRead += outcomes[*chunk.load].bytesRead;
      entry.tier = outcomes[*chunk.load].tier;
    }
    const auto rows = std::ranges::find(plan.loaded, chunk.segment, &LoadedRows::segment);
    if (rows != plan.loaded.end()) {
      entry.outcome = ChunkOutcome::kLoaded;
      entry.rowsComputed -= rows->rows();
      entry.preset = chunk.header->preset;
      entry.level = std::min<uint8_t>(config_.maxLevel, chunk.header->levels - 1);
    } else if (!chunk.status.ok()) {
      entry.outcome = chunkOutcomeOf(chunk.status);
      entry.reason = chunk.status.message();
    }
    out.bytesRead += entry.bytesRead;
    out.chunks.push_back(std::move(entry));
  }
  out.rows = plan.rows;
  out.rowsComputed = static_cast<uint32_t>(plan.computed.size());
  if (loader_ && request.options.method != LinkMethod::kFull) {
    out.waitedMs = std::chrono::duration<double, std::milli>(loader_->waited()).count();
  }
}

// Only exact pages are written back: those behind loaded rows that lost nothing.
void Linker::collectUnstored(Request& request, const LinkPlan& plan) const {
  if (request.options.method != LinkMethod::kPrefix || source_ == nullptr) return;
  uint32_t position = 0;
  for (const Request::Chunk& chunk : request.chunks) {
    const bool loaded = std::ranges::count(plan.loaded, chunk.segment, &LoadedRows::segment) > 0;
    const bool exact = !loaded || (chunk.header->preset == codec::Preset::kLossless &&
                                   chunk.header->elementType == config_.pageType);
    if (!exact) return;
    if (!loaded) request.linked.unstored.push_back({chunk.identity, position});
    position += chunk.identity.rows();
  }
}

Status Linker::storePrefix(const KvPages& pages, const UnstoredPrefix& chunk) {
  const uint32_t rows = chunk.identity.rows();
  DenseKv kv(model_.config(), config_.pageType, model_.config().layers, rows);
  for (uint32_t layer = 0; layer < model_.config().layers; ++layer) {
    pages.exportRows(layer, chunk.firstPosition, rows, kv.target(layer));
  }
  codec::EncodeOptions options;
  options.preset = config_.prefixPreset;
  options.profile = config_.profile.get();
  if (!profileStored_) {
    SPOLIA_RETURN_IF_ERROR(storeProfileOf(options.preset, options.profile, *source_));
    profileStored_ = true;
  }
  SPOLIA_ASSIGN_OR_RETURN(const Bytes stream,
                          codec::encodeStream(chunk.identity, shape_, kv.view(), options));
  codec::ChunkQueue queue;
  source_->submitStore(AlignedBuffer::copyOf(stream), codec::PutMode::kIfAbsent, 0, queue);
  return queue.waitPop().status;
}

void Linker::writeBack(LinkedPrompt& linked) {
  for (const UnstoredPrefix& chunk : linked.unstored) {
    const Status stored = storePrefix(*linked.pages, chunk);
    if (!stored.ok()) {
      linked.provenance.storeFailure = stored.message();
      break;  // what follows would hang on what is missing
    }
    ++linked.provenance.chunksStored;
  }
  linked.unstored.clear();
}

Result<double> Linker::timeResident(const Prompt& prompt, const LinkOptions& options,
                                    LinkedPrompt& linked) {
  Request request{prompt, options, prompt.tokens(), {}, {}};
  std::vector<PlanSegment> segments;
  for (const PromptSegment& segment : prompt.segments) {
    segments.push_back(
        {static_cast<uint32_t>(segment.tokens.size()), segment.kind == SegmentKind::kChunk});
  }
  const LinkPlan plan = makeLinkPlan(segments, options.method, options.k);
  request.linked.pages = copyOf(*linked.pages, model_.config(), linked.rows);
  const auto start = Clock::now();
  SPOLIA_ASSIGN_OR_RETURN(const bool complete, runPass(request, plan, false));
  SPOLIA_CHECK(complete);
  const double elapsed = millisecondsSince(start);
  linked.pages = std::move(request.linked.pages);
  linked.logits = std::move(request.linked.logits);
  return elapsed;
}

}  // namespace spolia::engine
