// Worlds to evaluate on: documents cut into chunks, a question and its answer, one JSON object a
// line (bench/fidelity/generator.py writes them). Value types; any thread.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

namespace spolia::engine {

// Where the last sentence that the answer needs begins.
struct DependentPlace {
  uint32_t chunk = 0;
  uint32_t character = 0;  // byte offset in the chunk's text
};

struct World {
  std::string family;               // "family"; "all" where it is absent
  std::vector<std::string> chunks;  // "chunks": texts, in order
  std::string question;             // "question"
  std::string answer;               // "answer"
  // "dependent_chunk" and "dependent_char", where the file tells.
  std::optional<DependentPlace> dependent;
};

// All worlds of a stream, at least one. `name` stands for it in errors: kInvalidArgument
// "NAME:LINE: FIELD is ..., expected ...". Fields that are not known are tolerated, empty lines
// skipped.
Result<std::vector<World>> readWorlds(std::istream& in, std::string_view name);

}  // namespace spolia::engine
