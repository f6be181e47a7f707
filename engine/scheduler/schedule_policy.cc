#include "engine/scheduler/schedule_policy.h"

#include <algorithm>

namespace spolia::engine {

std::vector<size_t> promptOrder(std::span<const PromptState> prompts,
                                const ScheduleConfig& config) {
  std::vector<size_t> out;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].ready) out.push_back(i);
  }
  const auto rank = [&](size_t i) {
    return prompts[i].arrival + (prompts[i].loads ? config.ageing : std::chrono::nanoseconds(0));
  };
  std::ranges::stable_sort(out, {}, rank);
  return out;
}

uint64_t promptWork(size_t decodedRows, uint32_t layers, const ScheduleConfig& config) {
  const uint64_t spent = std::min<uint64_t>(decodedRows, config.tokenBudget);
  // Decodes alone may fill a small budget: prompts go on all the same, a row at a time.
  return std::max<uint64_t>(1, config.tokenBudget - spent) * layers;
}

uint64_t pagesNeeded(uint64_t promptRows, uint64_t maxTokens, uint64_t choices,
                     uint64_t pageTokens) {
  const uint64_t whole = promptRows / pageTokens;
  const uint64_t all = (promptRows + maxTokens + pageTokens - 1) / pageTokens;
  return whole + choices * (all - whole);
}

std::vector<size_t> decodeOrder(size_t sequences, size_t first, const ScheduleConfig& config) {
  const size_t count = std::min<size_t>(sequences, config.maxBatch);
  if (count == sequences) first = 0;
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back((first + i) % sequences);
  return out;
}

}  // namespace spolia::engine
