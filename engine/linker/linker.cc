#include "engine/linker/linker.h"

#include <algorithm>
#include <utility>

#include "engine/linker/chunk_compiler.h"
#include "engine/linker/dense_kv.h"

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
    ChunkId id;
    std::shared_ptr<const codec::StreamHeader> header;
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
    : model_(model), transformer_(transformer), config_(config), shape_(model.kvShape()) {
  if (source != nullptr) loader_.emplace(*source, pool);
}

Result<LinkedPrompt> Linker::link(const Prompt& prompt, const LinkOptions& options) {
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
  for (size_t i = 0; i < request.prompt.segments.size(); ++i) {
    const PromptSegment& segment = request.prompt.segments[i];
    if (segment.kind != SegmentKind::kChunk) continue;
    Request::Chunk chunk;
    chunk.segment = i;
    chunk.id = codec::chunkIdOf(textChunkIdentity(model_.fingerprint(), segment.tokens,
                                                  compileModeOf(request.options.method)));
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
    chunk.provenance.bytesRead = opened[i].bytesRead;
    chunk.provenance.tier = opened[i].tier;
    chunk.status = checkHeader(*chunk.header, request.prompt.segments[chunk.segment]);
  }
  request.provenance().openMs = millisecondsSince(start);
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
    loads.push_back({chunk.id, chunk.header, *rows});
  }
  loader_->start(std::move(loads),
                 {config_.pageType, config_.lookaheadLayers, config_.minFetchBytes});
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
    plan = planOf(request);
    SPOLIA_ASSIGN_OR_RETURN(complete, runPass(request, plan, load));
    SPOLIA_CHECK(complete);
  }
  request.provenance().passMs = millisecondsSince(start);
  finishProvenance(request, plan);
  return Status();
}

// False when a load failed.
Result<bool> Linker::runPass(Request& request, const LinkPlan& plan, bool load) {
  ++request.provenance().passes;
  std::vector<codec::TokenId> rows;
  rows.reserve(plan.computed.size());
  for (uint32_t position : plan.computed) rows.push_back(request.tokens[position]);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin(rows, plan.computed, OutputRows::kLast));
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
      entry.level = static_cast<uint8_t>(chunk.header->levels - 1);
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
