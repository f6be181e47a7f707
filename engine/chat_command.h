// spolia-engine chat: a conversation in a terminal, or over pipes, answered out of cached chunks.
#pragma once

#include <string>
#include <vector>

#include "engine/engine_config.h"

namespace spolia::engine {

struct ChatCommandRequest {
  std::vector<std::string> documents;  // name patterns; empty: none
};

// A line of stdin is a message, or a command that begins with "/" (/help lists them); its end ends
// the conversation. Answers go to stdout as they come, each with a line break behind it; what they
// cost and what went wrong to stderr. SIGINT ends an answer, a second one the program. Exit code:
// failures of single questions are told and do not count.
int runChat(const EngineConfig& config, const ChatCommandRequest& request);

}  // namespace spolia::engine
