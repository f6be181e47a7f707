// spolia-engine ingest: documents into the store as chunks and manifests.
#pragma once

#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

struct IngestRequest {
  std::vector<std::string> paths;
  bool json = false;
};

// Returns an exit code (exit_codes.h); reports on stderr, the summary on stdout.
int runIngest(const EngineConfig& config, const IngestRequest& request);

}  // namespace spolia::engine
