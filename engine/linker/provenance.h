// Provenance: how an answer came about, chunk by chunk. Value types; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "codec/chunk_exchange.h"
#include "engine/linker/link_plan.h"

namespace spolia::engine {

enum class ChunkOutcome : uint8_t {
  kLoaded,    // a hit: its rows came from the store, but for those the method recomputes
  kResident,  // a hit: its rows stood in memory, computed or loaded for another request
  kUnasked,   // the method needs none of its stored rows
  kMissing,   // not stored
  kCorrupt,   // stored bytes failed a check
  kMismatch,  // stored, but of other tokens, another shape or another form
  kLate,      // not there in time
  kFailed,    // the source failed
};

// "loaded", "unasked", "missing", ...
std::string_view chunkOutcomeName(ChunkOutcome outcome);
// The outcome that a failure means.
ChunkOutcome chunkOutcomeOf(const Status& failure);

struct ChunkProvenance {
  std::string name;  // of the segment
  ChunkId id;
  ChunkOutcome outcome = ChunkOutcome::kUnasked;
  std::string reason;  // of a miss
  codec::Tier tier = codec::Tier::kNone;
  codec::Preset preset = codec::Preset::kLossless;  // hits only
  uint8_t level = 0;                                // hits only: the finest level read
  uint32_t rows = 0;
  uint32_t rowsComputed = 0;
  uint64_t bytesRead = 0;  // also of a load that failed
};

struct Provenance {
  LinkMethod method = LinkMethod::kFull;
  uint32_t k = 0;  // first-k only
  std::vector<ChunkProvenance> chunks;
  uint32_t rows = 0;  // of the prompt
  uint32_t rowsComputed = 0;
  uint32_t rowsResident = 0;  // at the front, in pages shared with other requests
  uint64_t bytesRead = 0;
  uint32_t passes = 0;        // 2 when a load failed after the first had begun
  uint32_t chunksStored = 0;  // prefix chunks written back behind the answer
  std::string storeFailure;   // why one could not be; empty otherwise
  double openMs = 0;          // finding out what is stored
  double passMs = 0;          // from there to the logits
  double waitedMs = 0;        // of both, time in which nothing was computed for want of stored rows

  size_t hits() const;
};

// Names of Tier: "none", "memory", "disk", "cluster".
std::string_view tierName(codec::Tier tier);

// As JSON, in one form for the command line and the API.
// {"method", "k" (first-k only), "rows", "rows_computed", "rows_resident", "chunks", "chunks_hit",
// "bytes_read", "passes", "open_ms", "pass_ms", "waited_ms", and of prefix "chunks_stored",
// "store_failure"}
nlohmann::ordered_json provenanceJson(const Provenance& provenance);
// [{"name", "id", "outcome", "rows", "rows_computed", "bytes_read", and of a hit "tier", "preset",
// "level", of a miss "reason"}]
nlohmann::ordered_json chunksJson(const Provenance& provenance);

}  // namespace spolia::engine
