// RoPE of a config.json: "rope_theta" with "rope_scaling" of older files, or "rope_parameters" of
// newer ones. Used by model_config; pure functions.
#pragma once

#include <string>
#include <string_view>

#include "codec/base/result.h"
#include "engine/model/json_file.h"
#include "engine/model/model_config.h"

namespace spolia::engine {

// Sets ropeTheta, ropeScaling and, where a scaling says that it reaches further, maxPositions of
// `out`, whose sizes are set already; `name` stands for the file in errors. kUnsupported names the
// field of a kind that this engine does not do.
Status readRope(const JsonFields& fields, std::string_view name, ModelConfig& out);

// Success when theta and scaling make sense; for configurations made in memory too.
Status checkRope(const ModelConfig& config);

// As lines "name=value", for a model's fingerprint.
std::string canonicalRope(const ModelConfig& config);

}  // namespace spolia::engine
