#include "engine/name_distance.h"

#include <algorithm>

namespace spolia::engine {

size_t editDistance(std::string_view a, std::string_view b) {
  // rows[i % 3][j]: distance of a's first i letters to b's first j.
  std::vector<std::vector<size_t>> rows(3, std::vector<size_t>(b.size() + 1));
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i - 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

std::optional<std::string> nearestName(std::string_view name,
                                       const std::vector<std::string>& known) {
  const auto nearest = std::ranges::min_element(
      known, {}, [&](const std::string& other) { return editDistance(name, other); });
  if (nearest == known.end()) return std::nullopt;
  const size_t allowed = std::max<size_t>(2, name.size() / 3);
  if (editDistance(name, *nearest) > allowed) return std::nullopt;
  return *nearest;
}

}  // namespace spolia::engine
