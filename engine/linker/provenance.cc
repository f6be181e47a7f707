#include "engine/linker/provenance.h"

#include <algorithm>

namespace spolia::engine {

namespace {

constexpr std::string_view kOutcomeNames[] = {"loaded",   "unasked", "missing", "corrupt",
                                              "mismatch", "late",    "failed"};
constexpr std::string_view kTierNames[] = {"none", "memory", "disk", "cluster"};

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
  return static_cast<size_t>(
      std::ranges::count(chunks, ChunkOutcome::kLoaded, &ChunkProvenance::outcome));
}

}  // namespace spolia::engine
