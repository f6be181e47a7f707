#include "engine/evaluation/world_file.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/model/json_file.h"

namespace spolia::engine {

namespace {

constexpr uint32_t kMost = std::numeric_limits<int32_t>::max();

Result<std::vector<std::string>> chunksOf(const JsonFields& fields) {
  constexpr const char* kExpected = "an array of texts, at least one";
  const nlohmann::json* array = fields.find("chunks");
  if (!array || !array->is_array() || array->empty()) return fields.wrong("chunks", kExpected);
  std::vector<std::string> out;
  for (const nlohmann::json& text : *array) {
    if (!text.is_string()) return fields.wrong("chunks", kExpected);
    out.push_back(text.get<std::string>());
  }
  return out;
}

Result<std::optional<DependentPlace>> dependentOf(const JsonFields& fields, const World& world) {
  if (!fields.find("dependent_chunk")) return std::optional<DependentPlace>();
  DependentPlace place;
  SPOLIA_ASSIGN_OR_RETURN(place.chunk, fields.integer("dependent_chunk", 0, kMost));
  SPOLIA_ASSIGN_OR_RETURN(place.character, fields.integer("dependent_char", 0, kMost));
  if (place.chunk >= world.chunks.size()) {
    return fields.wrong("dependent_chunk", "the number of one of the chunks, from 0");
  }
  if (place.character >= world.chunks[place.chunk].size()) {
    return fields.wrong("dependent_char", "a place inside that chunk");
  }
  return std::optional(place);
}

Result<World> parseWorld(const std::string& line, const std::string& name) {
  SPOLIA_ASSIGN_OR_RETURN(const nlohmann::json object, parseJson(line, name));
  if (!object.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  name + ": " + describeJson(object) + ", expected a JSON object");
  }
  const JsonFields fields(object, name);
  World world;
  SPOLIA_ASSIGN_OR_RETURN(world.family, fields.string("family", "all"));
  SPOLIA_ASSIGN_OR_RETURN(world.chunks, chunksOf(fields));
  SPOLIA_ASSIGN_OR_RETURN(world.question, fields.string("question"));
  SPOLIA_ASSIGN_OR_RETURN(world.answer, fields.string("answer"));
  SPOLIA_ASSIGN_OR_RETURN(world.dependent, dependentOf(fields, world));
  return world;
}

}  // namespace

Result<std::vector<World>> readWorlds(std::istream& in, std::string_view name) {
  std::vector<World> out;
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    SPOLIA_ASSIGN_OR_RETURN(World world,
                            parseWorld(line, std::string(name) + ":" + std::to_string(number)));
    out.push_back(std::move(world));
  }
  if (in.bad()) return Status(ErrorCode::kIoError, std::string(name) + ": cannot be read");
  if (out.empty()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(name) + ": holds no worlds, expected one JSON object a line");
  }
  return out;
}

}  // namespace spolia::engine
