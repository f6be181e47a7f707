#include "engine/linker/provenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace spolia::engine {

namespace {

constexpr std::string_view kOutcomeNames[] = {"loaded",  "resident", "unasked", "missing",
                                              "corrupt", "mismatch", "late",    "failed"};
constexpr std::string_view kTierNames[] = {"none", "memory", "disk", "cluster"};

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
  } else if (chunk.outcome == ChunkOutcome::kResident) {
    out["tier"] = tierName(codec::Tier::kMemory);
  } else if (!chunk.reason.empty()) {
    out["reason"] = chunk.reason;
  }
  return out;
}

}  // namespace

std::string_view chunkOutcomeName(ChunkOutcome outcome) {
  return kOutcomeNames[static_cast<size_t>(outcome)];
}

ChunkOutcome chunkOutcomeOf(const Status& failure) {
  switch (failure.code()) {
    case ErrorCode::kNotFound:
      return ChunkOutcome::kMissing;
    case ErrorCode::kCorrupt:
      return ChunkOutcome::kCorrupt;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      return ChunkOutcome::kMismatch;
    case ErrorCode::kDeadlineExceeded:
      return ChunkOutcome::kLate;
    default:
      return ChunkOutcome::kFailed;
  }
}

std::string_view tierName(codec::Tier tier) {
  const size_t index = static_cast<size_t>(tier);
  return index < std::size(kTierNames) ? kTierNames[index] : "unknown";
}

size_t Provenance::hits() const {
  return static_cast<size_t>(std::ranges::count_if(chunks, [](const ChunkProvenance& chunk) {
    return chunk.outcome == ChunkOutcome::kLoaded || chunk.outcome == ChunkOutcome::kResident;
  }));
}

nlohmann::ordered_json provenanceJson(const Provenance& provenance) {
  nlohmann::ordered_json out = {{"method", linkMethodName(provenance.method)},
                                {"rows", provenance.rows},
                                {"rows_computed", provenance.rowsComputed},
                                {"rows_resident", provenance.rowsResident},
                                {"chunks", provenance.chunks.size()},
                                {"chunks_hit", provenance.hits()},
                                {"bytes_read", provenance.bytesRead},
                                {"passes", provenance.passes},
                                {"open_ms", provenance.openMs},
                                {"pass_ms", provenance.passMs},
                                {"waited_ms", provenance.waitedMs}};
  if (provenance.method == LinkMethod::kFirstK) out["k"] = provenance.k;
  if (provenance.method == LinkMethod::kPrefix) {
    out["chunks_stored"] = provenance.chunksStored;
    if (!provenance.storeFailure.empty()) out["store_failure"] = provenance.storeFailure;
  }
  return out;
}

nlohmann::ordered_json chunksJson(const Provenance& provenance) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const ChunkProvenance& chunk : provenance.chunks) out.push_back(chunkJson(chunk));
  return out;
}

}  // namespace spolia::engine
