// `spolia-engine eval`: how well each linking method answers, over each preset, on worlds from a
// file. Main thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

struct EvalRequest {
  std::string worlds;                // file of JSON lines, "-" for stdin
  std::vector<std::string> methods;  // "full", "reuse", "first-k", "first-k:32", ...
  std::vector<std::string> presets;  // "high", "small", "small:-4", ...
  std::filesystem::path plot;        // PNG to write; empty: none
  std::filesystem::path answers;     // JSON lines with every answer; empty: none
  bool json = false;
};

// Prints the table, or JSON, on stdout. Exit code.
int runEval(const EngineConfig& config, const EvalRequest& request);

}  // namespace spolia::engine
