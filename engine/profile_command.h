// spolia-engine profile: makes the codec's profile of a model from text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

struct ProfileRequest {
  std::string text;                 // UTF-8, pages separated by form feeds
  std::string out;                  // file to write
  std::string preset = "balanced";  // or "small"
  uint32_t passages = 400;
  uint32_t cached = 256;    // tokens of a passage that are coded
  uint32_t continued = 32;  // and those behind, on which the damage is measured
  uint32_t judged = 32;     // most passages on which it is measured
  double mostKl = 0.0025;   // damage that the preset's step may do, nats
  uint64_t mostBytes = 0;   // 0: a tenth of the model's weights in fp16
  bool json = false;
};

// Returns an exit code (exit_codes.h); reports on stderr, the summary on stdout.
int runProfile(const EngineConfig& config, const ProfileRequest& request);

}  // namespace spolia::engine
