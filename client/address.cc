#include "client/address.h"

#include <charconv>

#include "client/protocol/limits.h"

namespace spolia::client {

std::string ServerAddress::text() const {
  if (isUnix()) return "spolia+unix://" + path;
  const bool v6 = host.find(':') != std::string::npos;
  return "spolia://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<ServerAddress> parseAddress(std::string_view text) {
  const auto wrong = [&] {
    std::string message("address \"");
    message.append(text).append("\": expected spolia://HOST:PORT or spolia+unix:///PATH");
    return Status(ErrorCode::kInvalidArgument, std::move(message));
  };
  ServerAddress address;
  for (std::string_view scheme : {"spolia+unix://", "unix:"}) {
    if (!text.starts_with(scheme)) continue;
    address.path = text.substr(scheme.size());
    if (!address.path.starts_with('/')) return wrong();
    return address;
  }
  constexpr std::string_view kScheme = "spolia://";
  if (!text.starts_with(kScheme)) return wrong();
  std::string_view rest = text.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  address.port = protocol::kDefaultPort;
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return wrong();
    address.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    address.host = rest.substr(0, rest.find(':'));
    port = rest.substr(address.host.size());
  }
  if (address.host.empty() || (!port.empty() && port.front() != ':')) return wrong();
  if (port.empty()) return address;
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size() || address.port == 0) {
    return wrong();
  }
  return address;
}

}  // namespace spolia::client
