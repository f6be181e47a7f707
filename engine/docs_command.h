// spolia-engine docs, rm: what is ingested, and taking it out again.
#pragma once

#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

// Lists the documents whose names match, in manifest order. Returns an exit code.
int runDocs(const EngineConfig& config, const std::vector<std::string>& patterns, bool json);

// Removes the documents of exactly these names; all that exist are removed even when one does not.
// Returns an exit code.
int runRemove(const EngineConfig& config, const std::vector<std::string>& names, bool json);

}  // namespace spolia::engine
