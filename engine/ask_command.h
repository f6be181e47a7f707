// spolia-engine ask: a question over ingested documents, answered out of cached chunks.
#pragma once

#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

enum class AskOutput { kText, kTable, kJson };

struct AskRequest {
  std::string question;
  std::vector<std::string> documents;  // name patterns; empty: all
  std::vector<LinkMethod> methods;     // asked one after the other; empty: the configured one
  AskOutput output = AskOutput::kText;
};

// Returns an exit code. The answers go to stdout; where the chunks are and what was missed to
// stderr.
int runAsk(const EngineConfig& config, const AskRequest& request);

}  // namespace spolia::engine
