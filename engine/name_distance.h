// "Did you mean": the nearest of some names. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spolia::engine {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
size_t editDistance(std::string_view a, std::string_view b);

// The nearest of `known`, the first on ties; nothing when more than a third of the name (and more
// than two letters) would have to change.
std::optional<std::string> nearestName(std::string_view name,
                                       const std::vector<std::string>& known);

}  // namespace spolia::engine
