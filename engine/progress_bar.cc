#include "engine/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace spolia::engine {

namespace {

constexpr size_t kBarWidth = 24;
constexpr size_t kNameWidth = 30;
constexpr auto kRedrawEvery = std::chrono::milliseconds(100);

}  // namespace

std::string progressLine(uint64_t done, uint64_t total, double seconds, std::string_view what) {
  const double share = total == 0 ? 1 : static_cast<double>(std::min(done, total)) / total;
  const auto filled = static_cast<size_t>(share * kBarWidth);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string left = "-:--";
  if (rate > 0) {
    const auto toGo =
        static_cast<uint64_t>(static_cast<double>(total - std::min(done, total)) / rate + 0.5);
    left = fmt::format("{}:{:02}", toGo / 60, toGo % 60);
  }
  if (what.size() > kNameWidth) what.remove_prefix(what.size() - kNameWidth);
  return fmt::format("[{}{}] {:3.0f} %  {:.1f} KiB/s  {} left  {}", std::string(filled, '#'),
                     std::string(kBarWidth - filled, '.'), share * 100, rate / 1024, left, what);
}

ProgressBar::ProgressBar(std::FILE* out, uint64_t totalBytes)
    : out_(out), terminal_(::isatty(::fileno(out)) == 1), total_(totalBytes) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::update(uint64_t doneBytes, std::string_view what) {
  const auto now = Clock::now();
  if (!terminal_ || now - drawn_ < kRedrawEvery) return;
  drawn_ = now;
  visible_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  fmt::print(out_, "\r\x1b[2K{}", progressLine(doneBytes, total_, seconds, what));
  std::fflush(out_);
}

void ProgressBar::clear() {
  if (!visible_) return;
  fmt::print(out_, "\r\x1b[2K");
  std::fflush(out_);
  visible_ = false;
}

}  // namespace spolia::engine
