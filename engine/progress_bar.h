// ProgressBar: one line on a terminal with rate and time to go; nothing anywhere else. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace spolia::engine {

class ProgressBar {
 public:
  using Clock = std::chrono::steady_clock;

  // Draws on `out` when that is a terminal.
  ProgressBar(std::FILE* out, uint64_t totalBytes);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Bytes done so far; `what` is being worked on. Redraws at most ten times a second.
  void update(uint64_t doneBytes, std::string_view what);
  // Takes the line away, so that something else can be printed.
  void clear();

 private:
  std::FILE* const out_;
  const bool terminal_;
  const uint64_t total_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_{};
  bool visible_ = false;
};

// The line: "[#####.....]  50 %  1.5 KiB/s  0:12 left  name".
std::string progressLine(uint64_t done, uint64_t total, double seconds, std::string_view what);

}  // namespace spolia::engine
