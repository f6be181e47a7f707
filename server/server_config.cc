#include "server/server_config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "codec/base/duration.h"
#include "server/service/access.h"
#include "server/service/listen_socket.h"
#include "server/tiers/memory_tier.h"

namespace spolia {
namespace {

using Node = toml::node;

constexpr const char* kQuotas = "quotas";
// Each has a policy of its own, which takes about 8 MiB of memory.
constexpr size_t kMostQuotas = 256;
constexpr uint64_t kLeastQuota = 1 << 20;

// One key: how its value gets into the config. The setter answers what was expected, or nothing.
struct Key {
  std::string name;
  std::function<std::string(const Node&, ServerConfig&)> set;
};

template <typename Member>
Key text(std::string name, Member member) {
  return {std::move(name), [member](const Node& node, ServerConfig& config) -> std::string {
            const auto value = node.value<std::string>();
            if (!node.is_string() || !value) return "a string";
            member(config) = *value;
            return {};
          }};
}

template <typename Member>
Key boolean(std::string name, Member member) {
  return {std::move(name), [member](const Node& node, ServerConfig& config) -> std::string {
            if (!node.is_boolean()) return "true or false";
            member(config) = *node.value<bool>();
            return {};
          }};
}

template <typename Member>
Key number(std::string name, uint32_t least, uint32_t most, Member member) {
  return {std::move(name),
          [member, least, most](const Node& node, ServerConfig& config) -> std::string {
            const auto value = node.value<int64_t>();
            if (!node.is_integer() || *value < least || *value > most) {
              return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
            }
            member(config) = static_cast<uint32_t>(*value);
            return {};
          }};
}

template <typename Member>
Key bytes(std::string name, Member member) {
  return {std::move(name), [member](const Node& node, ServerConfig& config) -> std::string {
            if (const auto whole = node.value<int64_t>(); node.is_integer() && *whole >= 0) {
              member(config) = static_cast<uint64_t>(*whole);
              return {};
            }
            const auto parsed = parseBytes(node.value_or(std::string()));
            if (!node.is_string() || !parsed.ok()) return "bytes, as in \"256 MiB\"";
            member(config) = *parsed;
            return {};
          }};
}

template <typename Value, typename Member>
Key choice(std::string name, std::vector<std::pair<std::string, Value>> choices, Member member) {
  return {std::move(name),
          [member, choices = std::move(choices)](const Node& node,
                                                 ServerConfig& config) -> std::string {
            const std::string value = node.value_or(std::string());
            std::string expected = "one of";
            for (const auto& [word, meaning] : choices) {
              if (node.is_string() && word == value) {
                member(config) = meaning;
                return {};
              }
              expected += " \"" + word + "\"";
            }
            return expected;
          }};
}

template <typename Member>
Key duration(std::string name, Member member) {
  return {std::move(name), [member](const Node& node, ServerConfig& config) -> std::string {
            const auto parsed = parseDuration(node.value_or(std::string()));
            if (!node.is_string() || !parsed.ok()) return "a length of time, as in \"30d\"";
            member(config) = *parsed;
            return {};
          }};
}

std::vector<Key> listenKeys() {
  return {
      text(
          "listen.tcp", [](ServerConfig & c) -> auto& { return c.listen.tcp; }),
      text(
          "listen.unix", [](ServerConfig & c) -> auto& { return c.listen.unixSocket; }),
      boolean(
          "listen.allow_plaintext",
          [](ServerConfig & c) -> auto& { return c.listen.allowPlaintext; }),
      text(
          "auth.token_file", [](ServerConfig & c) -> auto& { return c.tokenFile; }),
  };
}

std::vector<Key> storeKeys() {
  using store::AckMode;
  using store::IoBackend;
  return {
      text(
          "store.directory", [](ServerConfig & c) -> auto& { return c.store.directory; }),
      bytes(
          "store.capacity", [](ServerConfig & c) -> auto& { return c.store.capacityBytes; }),
      bytes(
          "store.segment", [](ServerConfig & c) -> auto& { return c.store.segmentBytes; }),
      number(
          "store.queue_depth", 1, 4096,
          [](ServerConfig & c) -> auto& { return c.store.queueDepth; }),
      choice<AckMode>(
          "store.ack", {{"durable", AckMode::kDurable}, {"memory", AckMode::kMemory}},
          [](ServerConfig & c) -> auto& { return c.store.ack; }),
      text(
          "store.eviction", [](ServerConfig & c) -> auto& { return c.store.eviction; }),
      bytes(
          "store.scrub_rate",
          [](ServerConfig & c) -> auto& { return c.store.scrubBytesPerSecond; }),
      duration(
          "store.default_ttl",
          [](ServerConfig & c) -> auto& { return c.lifetimes.defaultSeconds; }),
      duration(
          "store.max_ttl", [](ServerConfig & c) -> auto& { return c.lifetimes.maxSeconds; }),
      choice<IoBackend>(
          "store.io",
          {{"auto", IoBackend::kAuto},
           {"io_uring", IoBackend::kUring},
           {"pread", IoBackend::kPread}},
          [](ServerConfig & c) -> auto& { return c.store.io; }),
      bytes(
          "memory.capacity", [](ServerConfig & c) -> auto& { return c.memoryBytes; }),
  };
}

std::vector<Key> limitKeys() {
  return {
      number(
          "limits.connections", 1, 100000,
          [](ServerConfig & c) -> auto& { return c.limits.connections; }),
      bytes(
          "limits.connection_bytes",
          [](ServerConfig & c) -> auto& { return c.limits.connectionBytes; }),
      bytes(
          "limits.total_bytes", [](ServerConfig & c) -> auto& { return c.limits.totalBytes; }),
      bytes(
          "limits.message_bytes", [](ServerConfig & c) -> auto& { return c.limits.messageBytes; }),
      number(
          "limits.calls", 1, 100000,
          [](ServerConfig & c) -> auto& { return c.limits.callsInFlight; }),
      number(
          "limits.leased_entries", 1, 65536,
          [](ServerConfig & c) -> auto& { return c.store.leases.holderEntries; }),
      number(
          "limits.lease_seconds", 1, 86400,
          [](ServerConfig & c) -> auto& { return c.store.leases.longestSeconds; }),
      number(
          "limits.handshake_seconds", 1, 3600,
          [](ServerConfig & c) -> auto& { return c.limits.handshakeSeconds; }),
      number(
          "limits.message_seconds", 1, 3600,
          [](ServerConfig & c) -> auto& { return c.limits.messageSeconds; }),
      number(
          "limits.stall_seconds", 1, 3600,
          [](ServerConfig & c) -> auto& { return c.limits.stallSeconds; }),
      number(
          "limits.drain_seconds", 0, 3600,
          [](ServerConfig & c) -> auto& { return c.limits.drainSeconds; }),
      choice<std::string>(
          "log.level", {{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}},
          [](ServerConfig & c) -> auto& { return c.logLevel; }),
  };
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> out;
    for (auto part : {storeKeys(), listenKeys(), limitKeys()}) {
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }();
  return all;
}

size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearestKey(const std::string& name) {
  const auto& all = keys();
  const auto best = std::min_element(all.begin(), all.end(), [&](const Key& a, const Key& b) {
    return editDistance(name, a.name) < editDistance(name, b.name);
  });
  // Too far a guess misleads.
  return editDistance(name, best->name) <= std::max<size_t>(3, name.size() / 2) ? best->name : "";
}

Status fault(const std::string& file, const Node& node, const std::string& what) {
  return {ErrorCode::kInvalidArgument,
          file + ":" + std::to_string(node.source().begin.line) + ": " + what};
}

Status unknown(const std::string& file, const Node& node, const std::string& name) {
  const std::string near = nearestKey(name);
  return fault(file, node,
               "unknown key " + name + (near.empty() ? "" : "; did you mean " + near + "?"));
}

// A key for each tenant.
Status readQuotas(const std::string& file, const toml::table& table, ServerConfig& config) {
  for (const auto& [key, node] : table) {
    const std::string tenant(key.str());
    if (!service::isTenantName(tenant)) {
      return fault(file, node, "quotas: expected a tenant's name, 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    const auto whole = node.value<int64_t>();
    const auto parsed = parseBytes(node.value_or(std::string()));
    const bool number = node.is_integer() && *whole >= 0;
    if (!number && !(node.is_string() && parsed.ok())) {
      return fault(file, node, "quotas." + tenant + ": expected bytes, as in \"10 GiB\"");
    }
    config.quotas.push_back({tenant, number ? static_cast<uint64_t>(*whole) : *parsed});
  }
  return {};
}

Status readSection(const std::string& file, const std::string& section, const toml::table& table,
                   ServerConfig& config) {
  for (const auto& [key, node] : table) {
    const std::string name = section + "." + std::string(key.str());
    const auto& all = keys();
    const auto known =
        std::find_if(all.begin(), all.end(), [&](const Key& k) { return k.name == name; });
    if (known == all.end()) return unknown(file, node, name);
    if (const std::string expected = known->set(node, config); !expected.empty()) {
      return fault(file, node, name + ": expected " + expected);
    }
  }
  return {};
}

}  // namespace

Result<ServerConfig> parseServerConfig(std::string_view text, const std::string& name) {
  ServerConfig config;
  try {
    const toml::table table = toml::parse(text, name);
    for (const auto& [section, node] : table) {
      const std::string title(section.str());
      if (!node.is_table()) return unknown(name, node, title);
      SPOLIA_RETURN_IF_ERROR(title == kQuotas ? readQuotas(name, *node.as_table(), config)
                                              : readSection(name, title, *node.as_table(), config));
    }
  } catch (const toml::parse_error& e) {
    return Status(ErrorCode::kInvalidArgument, name + ":" + std::to_string(e.source().begin.line) +
                                                   ": " + std::string(e.description()));
  }
  return config;
}

Result<ServerConfig> loadServerConfig(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf())) {
    return Status(ErrorCode::kInvalidArgument,
                  path.string() + ": cannot be read; expected a configuration file");
  }
  return parseServerConfig(text.str(), path.string());
}

Status ServerConfig::validate() const {
  const auto wrong = [](const std::string& what) {
    return Status(ErrorCode::kInvalidArgument, what);
  };
  if (store.directory.empty()) {
    return wrong("store.directory: expected the directory to keep entries in (or --store DIR)");
  }
  SPOLIA_RETURN_IF_ERROR(store.validate());
  if (lifetimes.maxSeconds != 0 && lifetimes.defaultSeconds > lifetimes.maxSeconds) {
    return wrong("store.default_ttl: longer than store.max_ttl");
  }
  if (memoryBytes != 0 && memoryBytes < tiers::MemoryTier::kLeastCapacity) {
    return wrong("memory.capacity: " + std::to_string(memoryBytes) +
                 " bytes, expected 0 (none) or at least 1 MiB");
  }
  if (quotas.size() > kMostQuotas) return wrong("quotas: more than 256");
  for (const TenantQuota& quota : quotas) {
    if (quota.bytes >= kLeastQuota && quota.bytes <= store.capacityBytes) continue;
    return wrong("quotas." + quota.tenant + ": " + std::to_string(quota.bytes) +
                 " bytes, expected at least 1 MiB and at most store.capacity");
  }
  if (!quotas.empty() && store.eviction == "none") {
    return wrong("quotas: expected store.eviction other than \"none\"");
  }
  if (listen.tcp.empty() && listen.unixSocket.empty()) {
    return wrong("listen.tcp, listen.unix: both empty, expected at least one");
  }
  if (limits.connectionBytes < (1u << 20) || limits.totalBytes < limits.connectionBytes) {
    return wrong("limits.connection_bytes: expected from 1 MiB to limits.total_bytes");
  }
  if (limits.messageBytes < 4 * protocol::kMaxMessageBytes) {
    return wrong("limits.message_bytes: expected at least 16 MiB");
  }
  if (listen.tcp.empty()) return {};
  auto address = service::resolveTcp(listen.tcp);
  if (!address.ok()) return address.status().withContext("listen.tcp");
  if (address->loopback) return {};
  if (tokenFile.empty()) {
    return wrong("listen.tcp: " + listen.tcp +
                 " is open to other machines, which needs auth.token_file");
  }
  if (!listen.allowPlaintext) {
    return wrong("listen.tcp: " + listen.tcp +
                 " is open to other machines without encryption; set listen.allow_plaintext = "
                 "true if the network is trusted");
  }
  return {};
}

std::vector<std::string> serverConfigKeys() {
  std::vector<std::string> names;
  for (const Key& key : keys()) names.push_back(key.name);
  return names;
}

Result<uint64_t> parseBytes(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  constexpr std::string_view kUnits[] = {"", "KiB", "MiB", "GiB", "TiB"};
  for (int i = 0; i < 5; ++i) {
    const int shift = 10 * i;
    if (error == std::errc() && unit == kUnits[i] && value <= (UINT64_MAX >> shift)) {
      return value << shift;
    }
  }
  std::string message(1, '"');
  message.append(text).append("\": expected bytes, as in 4096, 256 MiB, 8 GiB");
  return Status(ErrorCode::kInvalidArgument, std::move(message));
}

std::string formatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace spolia
