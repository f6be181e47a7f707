// ServerConfig: what conf/server.toml says, one struct per part. Values; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "server/service/service_context.h"
#include "server/store/store.h"

namespace spolia {

struct ListenConfig {
  std::string tcp = "127.0.0.1:7433";  // HOST:PORT, empty for none
  std::filesystem::path unixSocket;    // empty for none
  // Plain TCP beyond loopback, where tokens and KV can be read on the way.
  bool allowPlaintext = false;
};

struct TenantQuota {
  std::string tenant;
  uint64_t bytes = 0;
};

struct ServerConfig {
  store::StoreConfig store = evicting();
  tiers::Lifetimes lifetimes;
  uint64_t memoryBytes = 1ull << 30;  // for entries asked for again and again; 0: none
  std::vector<TenantQuota> quotas;
  ListenConfig listen;
  std::filesystem::path tokenFile;  // empty: no tokens, everybody may do everything
  service::ServiceLimits limits;
  std::string logLevel = "info";  // debug, info, warn, error

  // A store's defaults, with the eviction and the scrubbing that a server has.
  static store::StoreConfig evicting() {
    store::StoreConfig config;
    config.eviction = "value";
    config.scrubBytesPerSecond = 16 << 20;
    return config;
  }
  // kInvalidArgument naming the field: something is out of its range, nothing to listen on, or an
  // address open to others without what that needs.
  Status validate() const;
};

// kInvalidArgument naming file, line, key and what was expected; unknown keys are refused with the
// nearest known one. Does not validate().
Result<ServerConfig> loadServerConfig(const std::filesystem::path& path);
Result<ServerConfig> parseServerConfig(std::string_view text, const std::string& name);

// Every key as "section.key", in the order of conf/server.toml.
std::vector<std::string> serverConfigKeys();

// "8 GiB", "256 MiB", "4096": bytes. kInvalidArgument otherwise.
Result<uint64_t> parseBytes(std::string_view text);
// "8.0 GiB": for people.
std::string formatBytes(uint64_t bytes);

}  // namespace spolia
