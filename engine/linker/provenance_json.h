// Provenance as JSON, in one form for the command line and the API. Any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/linker/provenance.h"

namespace spolia::engine {

// {"method", "k" (first-k only), "rows", "rows_computed", "chunks", "chunks_hit", "bytes_read",
// "passes", "open_ms", "pass_ms", "waited_ms"}
nlohmann::ordered_json provenanceJson(const Provenance& provenance);

// [{"name", "id", "outcome", "rows", "rows_computed", "bytes_read", and of a hit "tier", "preset",
// "level", of a miss "reason"}]
nlohmann::ordered_json chunksJson(const Provenance& provenance);

}  // namespace spolia::engine
