// Who may do what: the token file, the rights it gives and the namespace of a tenant. Read once at
// start; afterwards immutable, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "server/tiers/tier_set.h"

namespace spolia::service {

// Bits; the numbers are the protocol's (Rights in spolia.capnp).
inline constexpr uint32_t kReadRight = 1;
inline constexpr uint32_t kWriteRight = 2;
inline constexpr uint32_t kAdminRight = 4;
inline constexpr uint32_t kAllRights = kReadRight | kWriteRight | kAdminRight;

struct Grant {
  std::string tenant;
  uint32_t rights = 0;
};

// 1 to 64 of A-Z a-z 0-9 . _ -
bool isTenantName(std::string_view name);

// Lines of "TENANT RIGHTS TOKEN": a tenant of A-Z a-z 0-9 . _ -, rights a comma-separated list of
// read, write, admin (admin includes both), a token of 16 to 512 printable characters. Blank lines
// and lines that begin with # are skipped.
class TokenFile {
 public:
  // kInvalidArgument naming the file, and the line where there is one: not readable, readable by
  // everyone on the machine, a malformed line, a token twice, or no token at all.
  static Result<TokenFile> load(const std::filesystem::path& path);
  static Result<TokenFile> parse(std::string_view text, std::string_view name);

  // What the token grants, nothing for an unknown one. Takes the same time for all tokens.
  std::optional<Grant> find(std::string_view token) const;
  // Those named in it; more than once where they have several tokens.
  std::vector<std::string> tenants() const;

 private:
  struct Entry {
    std::array<std::byte, 32> tokenDigest;
    Grant grant;
  };
  std::vector<Entry> entries_;
};

using ServerSecret = std::array<std::byte, 32>;

// The secret that all namespaces of a store derive from: made at first, mode 0600, kept as long as
// the store. Losing it makes every entry unreachable; that is also how to forget them all.
// kInvalidArgument or kIoError naming the file.
Result<ServerSecret> loadOrCreateSecret(const std::filesystem::path& path);

// The tenant of a server without a token file.
inline constexpr const char* kOnlyTenant = "default";

// HMAC of the tenant's name under the server's secret.
tiers::Namespace namespaceOf(const ServerSecret& secret, std::string_view tenant);

}  // namespace spolia::service
