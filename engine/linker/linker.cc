#include "engine/linker/linker.h"

#include <algorithm>
#include <utility>

#include "engine/linker/chunk_compiler.h"
#include "engine/transformer/dense_kv.h"

namespace spolia::engine {

namespace {

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

Linker::Linker(const Model& model, const Transformer& transformer, ThreadPool& pool,
               KvSource* source, Config config)
    : model_(model),
      transformer_(transformer),
      pool_(pool),
      source_(source),
      config_(std::move(config)),
      profiles_(config_.profile),
      router_([this] { pool_.notify(); }) {}

Result<std::unique_ptr<LinkJob>> Linker::start(const Prompt& prompt, const LinkOptions& options,
                                               std::vector<PageRef> front) {
  const uint64_t rows = uint64_t{prompt.rows()} + options.spareRows;
  if (rows > model_.config().maxPositions || prompt.rows() == 0) {
    return Status(ErrorCode::kInvalidArgument,
                  "prompt of " + std::to_string(prompt.rows()) + " tokens and " +
                      std::to_string(options.spareRows) + " for the answer: the model has " +
                      std::to_string(model_.config().maxPositions) + " positions");
  }
  const LinkParts parts{
      model_,
      transformer_,
      pool_,
      source_,
      router_,
      profiles_,
      {config_.pageType, config_.lookaheadLayers, config_.minFetchBytes, config_.maxLevel},
      config_.pool};
  const bool prefix = options.method == LinkMethod::kPrefix;
  return std::make_unique<LinkJob>(parts, prefix ? cutIntoPrefixChunks(prompt) : prompt, options,
                                   std::move(front));
}

Result<LinkedPrompt> Linker::link(const Prompt& prompt, const LinkOptions& options) {
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<LinkJob> job, start(prompt, options));
  for (;;) {
    SPOLIA_ASSIGN_OR_RETURN(const LinkStep step, job->step(SIZE_MAX));
    if (step.state == LinkState::kDone) return job->take();
    if (step.state == LinkState::kWaiting) waitUntil(job->lateAt(), [&] { return job->canStep(); });
  }
}

void Linker::waitUntil(std::chrono::steady_clock::time_point at,
                       const std::function<bool()>& done) {
  router_.setAlarm(at);
  pool_.helpUntil([&] { return done() || std::chrono::steady_clock::now() >= at; });
  router_.clearAlarm();
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
  SPOLIA_ASSIGN_OR_RETURN(const Bytes stream, codec::encodeStream(chunk.identity, model_.kvShape(),
                                                                  kv.view(), options));
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
  std::vector<PlanSegment> segments;
  for (const PromptSegment& segment : prompt.segments) {
    segments.push_back(
        {static_cast<uint32_t>(segment.tokens.size()), segment.kind == SegmentKind::kChunk});
  }
  const LinkPlan plan = makeLinkPlan(segments, options.method, options.k);
  const std::vector<codec::TokenId> tokens = prompt.tokens();
  std::unique_ptr<KvPages> pages = copyOf(*linked.pages, model_.config(), linked.rows);
  const auto start = std::chrono::steady_clock::now();
  std::vector<codec::TokenId> rows;
  rows.reserve(plan.computed.size());
  for (uint32_t position : plan.computed) rows.push_back(tokens[position]);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin(rows, plan.computed, OutputRows::kLast));
  transformer_.run(pass, *pages);
  std::vector<float> logits = transformer_.logits(pass, pass.rows() - 1);
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  linked.pages = std::move(pages);
  linked.logits = std::move(logits);
  return elapsed.count();
}

}  // namespace spolia::engine
