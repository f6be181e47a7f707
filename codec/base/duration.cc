#include "codec/base/duration.h"

#include <charconv>
#include <ctime>

namespace spolia {

Result<uint64_t> parseDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    uint64_t seconds;
  };
  constexpr Unit kUnits[] = {{"", 1},     {"s", 1},     {"m", 60},
                             {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (error == std::errc() && unit == known.name && value <= UINT64_MAX / known.seconds) {
      return value * known.seconds;
    }
  }
  std::string message(1, '"');
  message.append(text).append("\": expected a length of time, as in 90s, 10m, 6h, 30d, 2w");
  return Status(ErrorCode::kInvalidArgument, std::move(message));
}

std::string formatUtc(uint64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[64];
  const bool known = seconds < (uint64_t{1} << 40) && ::gmtime_r(&time, &parts) != nullptr;
  const size_t length = known ? std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) : 0;
  return length > 0 ? std::string(text, length) : std::to_string(seconds);
}

}  // namespace spolia
