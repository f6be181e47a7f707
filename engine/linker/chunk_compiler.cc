#include "engine/linker/chunk_compiler.h"

#include <numeric>

#include "engine/linker/link_plan.h"
#include "engine/transformer/dense_kv.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

codec::ChunkIdentity textChunkIdentity(const ModelFingerprint& fingerprint,
                                       std::span<const codec::TokenId> tokens,
                                       codec::CompileMode mode) {
  codec::ChunkIdentity identity;
  identity.fingerprint = fingerprint;
  identity.mode = mode;
  identity.tokens.assign(tokens.begin(), tokens.end());
  return identity;
}

Result<AlignedBuffer> ChunkCompiler::compile(std::span<const codec::TokenId> tokens) const {
  const ModelConfig& config = model_.config();
  const uint32_t count = static_cast<uint32_t>(tokens.size());
  const uint32_t bosRows = bosRowsOf(config_.mode);
  if (tokens.empty() || tokens.size() + bosRows > config.maxPositions) {
    return Status(ErrorCode::kInvalidArgument, "chunk of " + std::to_string(tokens.size()) +
                                                   " tokens: expected 1 to " +
                                                   std::to_string(config.maxPositions - bosRows));
  }
  std::vector<codec::TokenId> rows(bosRows, config.bosToken);
  rows.insert(rows.end(), tokens.begin(), tokens.end());
  std::vector<uint32_t> positions(rows.size());
  std::iota(positions.begin(), positions.end(), 0);

  KvPages pages(config, config_.pageType, count + bosRows);
  DenseKv kv(config, config_.pageType, config.layers, count);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer_.begin(rows, positions, OutputRows::kLast));
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    transformer_.runLayer(pass, layer, pages);
    pages.exportRows(layer, bosRows, count, kv.target(layer));
  }
  codec::EncodeOptions options;
  options.preset = config_.preset;
  options.profile = config_.profile.get();
  options.gain = config_.gain;
  SPOLIA_ASSIGN_OR_RETURN(Bytes stream, codec::encodeStream(textChunkIdentity(model_.fingerprint(),
                                                                              tokens, config_.mode),
                                                            model_.kvShape(), kv.view(), options));
  return AlignedBuffer::copyOf(stream);
}

}  // namespace spolia::engine
