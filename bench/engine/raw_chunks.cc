#include "bench/engine/raw_chunks.h"

#include <algorithm>
#include <cstring>

#include "engine/linker/chunk_compiler.h"
#include "engine/linker/link_plan.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::bench {

using namespace engine;

namespace {

// Of the value that holds one layer of a chunk.
ChunkId layerId(const Model& model, const PromptSegment& segment, uint32_t layer) {
  ChunkId id = codec::chunkIdOf(textChunkIdentity(model.fingerprint(), segment.tokens));
  id.bytes[0] ^= static_cast<std::byte>(layer + 1);
  return id;
}

std::vector<const PromptSegment*> chunksOf(const Prompt& prompt) {
  std::vector<const PromptSegment*> out;
  for (const PromptSegment& segment : prompt.segments) {
    if (segment.kind == SegmentKind::kChunk) out.push_back(&segment);
  }
  return out;
}

LinkPlan planOf(const Prompt& prompt, uint32_t k) {
  std::vector<PlanSegment> segments;
  for (const PromptSegment& segment : prompt.segments) {
    segments.push_back(
        {static_cast<uint32_t>(segment.tokens.size()), segment.kind == SegmentKind::kChunk});
  }
  return makeLinkPlan(segments, LinkMethod::kFirstK, k);
}

// [plane][row][channel] of one layer, as DenseKv has it.
size_t layerBytes(const ModelConfig& config, size_t rows) {
  return 2 * rows * config.kvChannels() * codec::elementSize(RawChunks::kPageType);
}

codec::KvView layerView(const ModelConfig& config, const AlignedBuffer& bytes, size_t rows,
                        size_t rowBegin) {
  const auto head =
      static_cast<ptrdiff_t>(config.headDim * codec::elementSize(RawChunks::kPageType));
  const ptrdiff_t row = head * config.kvHeads, plane = row * static_cast<ptrdiff_t>(rows);
  return {bytes.data() + row * static_cast<ptrdiff_t>(rowBegin),
          2 * plane,
          plane,
          head,
          row,
          RawChunks::kPageType};
}

}  // namespace

// Values on their way, those of lower layers first.
class RawChunks::Loading {
 public:
  Loading(const RawChunks& owner, const Prompt& prompt)
      : owner_(owner),
        chunks_(chunksOf(prompt)),
        values_(chunks_.size() * owner.model_.config().layers),
        missing_(owner.model_.config().layers, chunks_.size()) {}

  // What was asked for and not awaited is answered still.
  ~Loading() {
    while (pending_ > 0) take(queue_.waitPop());
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;

  void askUpTo(uint32_t layer) {
    for (; asked_ <= layer && asked_ < missing_.size(); ++asked_) {
      for (size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
        ++pending_;
        owner_.source_.submitGetValue(layerId(owner_.model_, *chunks_[chunk], asked_),
                                      asked_ * chunks_.size() + chunk, queue_);
      }
    }
  }

  Status await(uint32_t layer) {
    while (status_.ok() && missing_[layer] > 0) take(queue_.waitPop());
    return status_;
  }

  void import(uint32_t layer, const LinkPlan& plan, KvPages& pages) {
    owner_.pool_.parallelFor(plan.loaded.size(), [&](size_t chunk) {
      const LoadedRows& rows = plan.loaded[chunk];
      AlignedBuffer& value = values_[layer * chunks_.size() + chunk];
      pages.importRows(
          layer, rows.firstPosition + rows.rowBegin, rows.rows(),
          layerView(owner_.model_.config(), value, chunks_[chunk]->tokens.size(), rows.rowBegin));
      value = AlignedBuffer();
    });
  }

  uint64_t bytesRead() const { return bytesRead_; }

 private:
  void take(codec::ChunkCompletion done) {
    --pending_;
    const size_t layer = done.cookie / chunks_.size(), chunk = done.cookie % chunks_.size();
    const size_t expected = layerBytes(owner_.model_.config(), chunks_[chunk]->tokens.size());
    if (done.status.ok() && done.bytes.size() != expected) {
      done.status = Status(ErrorCode::kCorrupt, "a value of another size");
    }
    if (status_.ok()) status_ = done.status;
    bytesRead_ += done.bytes.size();
    values_[done.cookie] = std::move(done.bytes);
    --missing_[layer];
  }

  const RawChunks& owner_;
  const std::vector<const PromptSegment*> chunks_;
  codec::ChunkQueue queue_;
  std::vector<AlignedBuffer> values_;  // [layer][chunk]
  std::vector<size_t> missing_;        // [layer]
  uint32_t asked_ = 0;
  size_t pending_ = 0;
  Status status_;
  uint64_t bytesRead_ = 0;
};

Result<uint64_t> RawChunks::store(const Prompt& prompt) {
  const ModelConfig& config = model_.config();
  const ChunkCompiler compiler(model_, transformer_, {codec::Preset::kLossless, kPageType});
  codec::ChunkQueue queue;
  uint64_t bytes = 0;
  for (const PromptSegment* chunk : chunksOf(prompt)) {
    SPOLIA_ASSIGN_OR_RETURN(const AlignedBuffer stream, compiler.compile(chunk->tokens));
    SPOLIA_ASSIGN_OR_RETURN(const codec::StreamHeader header, codec::parseHeader(stream.span()));
    const auto rows = static_cast<uint32_t>(chunk->tokens.size());
    DenseKv kv(config, kPageType, config.layers, rows);
    SPOLIA_RETURN_IF_ERROR(codec::decodeStream(stream.span(), header, {}, kv.target()));
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
      const ByteSpan values(kv.view(layer).base, layerBytes(config, rows));
      source_.submitPutValue({layerId(model_, *chunk, layer), codec::EntryKind::kOpaque,
                              chunk->name, AlignedBuffer::copyOf(values), codec::PutMode::kReplace},
                             0, queue);
      SPOLIA_RETURN_IF_ERROR(queue.waitPop().status);
      bytes += values.size();
    }
  }
  return bytes;
}

Result<RawChunks::Linked> RawChunks::link(const Prompt& prompt, uint32_t k) {
  const LinkPlan plan = planOf(prompt, k);
  if (plan.loaded.size() != chunksOf(prompt).size()) {
    return Status(ErrorCode::kInvalidArgument, "chunks of k rows or fewer leave nothing to load");
  }
  const std::vector<codec::TokenId> tokens = prompt.tokens();
  std::vector<codec::TokenId> rows;
  for (uint32_t position : plan.computed) rows.push_back(tokens[position]);
  KvPages pages(model_.config(), kPageType, plan.rows);
  Loading loading(*this, prompt);
  loading.askUpTo(kLookaheadLayers);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin(rows, plan.computed, OutputRows::kLast));
  for (uint32_t layer = 0; layer < model_.config().layers; ++layer) {
    loading.askUpTo(layer + kLookaheadLayers);
    SPOLIA_RETURN_IF_ERROR(loading.await(layer));
    loading.import(layer, plan, pages);
    transformer_.runLayer(pass, layer, pages);
  }
  return Linked{transformer_.logits(pass, plan.computed.size() - 1), loading.bytesRead(),
                static_cast<uint32_t>(plan.computed.size())};
}

}  // namespace spolia::bench
