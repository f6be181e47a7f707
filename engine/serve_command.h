// `spolia-engine serve`: the OpenAI API over this machine's chunks, until SIGINT or SIGTERM. Main
// thread.
#pragma once

#include "engine/engine_config.h"

namespace spolia::engine {

// Says "listening on http://..." on stdout when it answers. Exit code.
int runServe(const EngineConfig& config);

}  // namespace spolia::engine
