// An evaluation for people (a table) and for programs (JSON). Any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/evaluation/scores.h"

namespace spolia::engine {

// One line for each family, preset and method: accuracy over all worlds, inside and beyond, loss
// against `full` with its interval, rows recomputed.
std::string scoreTable(const Evaluation& evaluation, const std::vector<Score>& scores);

// {"k", "scores": [{"family", "part", "method", "preset", "worlds", "right", "share", "low",
// "high", "loss", "loss_low", "loss_high", "rows_share", "stored_bytes", "fp16_bytes"}]}
nlohmann::ordered_json scoreJson(const Evaluation& evaluation, const std::vector<Score>& scores,
                                 uint32_t k);

}  // namespace spolia::engine
