#include "engine/linker/provenance_json.h"

#include <nlohmann/json.hpp>

namespace spolia::engine {

namespace {

nlohmann::ordered_json chunkJson(const ChunkProvenance& chunk) {
  nlohmann::ordered_json out = {{"name", chunk.name},
                                {"id", chunk.id.hex()},
                                {"outcome", chunkOutcomeName(chunk.outcome)},
                                {"rows", chunk.rows},
                                {"rows_computed", chunk.rowsComputed},
                                {"bytes_read", chunk.bytesRead}};
  if (chunk.outcome == ChunkOutcome::kLoaded) {
    out["tier"] = tierName(chunk.tier);
    out["preset"] = codec::presetName(chunk.preset);
    out["level"] = chunk.level;
  } else if (!chunk.reason.empty()) {
    out["reason"] = chunk.reason;
  }
  return out;
}

}  // namespace

nlohmann::ordered_json provenanceJson(const Provenance& provenance) {
  nlohmann::ordered_json out = {{"method", linkMethodName(provenance.method)},
                                {"rows", provenance.rows},
                                {"rows_computed", provenance.rowsComputed},
                                {"chunks", provenance.chunks.size()},
                                {"chunks_hit", provenance.hits()},
                                {"bytes_read", provenance.bytesRead},
                                {"passes", provenance.passes},
                                {"open_ms", provenance.openMs},
                                {"pass_ms", provenance.passMs},
                                {"waited_ms", provenance.waitedMs}};
  if (provenance.method == LinkMethod::kFirstK) out["k"] = provenance.k;
  return out;
}

nlohmann::ordered_json chunksJson(const Provenance& provenance) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const ChunkProvenance& chunk : provenance.chunks) out.push_back(chunkJson(chunk));
  return out;
}

}  // namespace spolia::engine
