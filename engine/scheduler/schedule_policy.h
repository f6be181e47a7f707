// What is computed next: pure decisions over what is known of the requests, so that they can be
// simulated without a model. Times are whatever clock the caller has.
//
// An iteration decodes first, so that answers under way keep their pace, and then works on prompts
// within a budget. Prompts of which nothing is loaded go first: those with stored chunks can use
// the time for loading. A prompt with stored chunks counts as so much younger, and no more: it
// waits behind the others no longer than that.
//
// Value types; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace spolia::engine {

struct ScheduleConfig {
  uint32_t maxBatch = 32;      // sequences decoded in one step
  uint32_t tokenBudget = 256;  // rows of an iteration: those decoded, and of prompts
  // How much earlier than a prompt without stored chunks one with them has to come to be first.
  std::chrono::nanoseconds ageing = std::chrono::seconds(1);
};

// A prompt that is not complete.
struct PromptState {
  std::chrono::nanoseconds arrival{};  // since some moment
  bool loads = false;                  // some of its rows are loaded
  bool ready = true;                   // it can be worked on; else its loads have not arrived
};

// Indices of those that can be worked on, first come first. Ties keep their order.
std::vector<size_t> promptOrder(std::span<const PromptState> prompts, const ScheduleConfig& config);

// Rows times layers that an iteration may spend on prompts after a step of so many rows. While
// nobody waits for the next token, as much as an iteration of a whole budget, never nothing.
uint64_t promptWork(size_t decodedRows, uint32_t layers, const ScheduleConfig& config);

// Which of `sequences` are decoded in this step: all of them, or maxBatch from `first` on, round
// and round. Ascending, as far as they do not wrap.
std::vector<size_t> decodeOrder(size_t sequences, size_t first, const ScheduleConfig& config);

// Pages that a request of so many prompt rows and choices of so many tokens takes at most. What a
// request takes at most is set aside when it is let in, so that none has to be given up half-way.
// The choices share whole pages of the prompt.
uint64_t pagesNeeded(uint64_t promptRows, uint64_t maxTokens, uint64_t choices,
                     uint64_t pageTokens);

}  // namespace spolia::engine
