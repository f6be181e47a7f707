// What the replies of all routes have in common, as JSON. Any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/http/replies/reply_format.h"

namespace spolia::engine {

// What the API has for a probability of nothing.
inline constexpr float kNeverLogprob = -9999;

nlohmann::ordered_json usageJson(const ApiAnswer& answer);
// An object, or with several prompts an array of one each.
nlohmann::ordered_json cacheJson(const ApiAnswer& answer);
// Texts that are not UTF-8 are made so: names of documents may be any bytes.
std::string replyText(const nlohmann::ordered_json& object);
// The same as an SSE event.
std::string replyEvent(const nlohmann::ordered_json& object);

}  // namespace spolia::engine
