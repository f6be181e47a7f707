#include "server/service/access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "server/service/small_file.h"

namespace spolia::service {
namespace {

constexpr size_t kMaxTokenFileBytes = 1u << 20;
constexpr size_t kMinTokenChars = 16;
constexpr size_t kMaxTokenChars = 512;
constexpr size_t kMaxTenantChars = 64;

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return out;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Result<uint32_t> parseRights(std::string_view list) {
  uint32_t rights = 0;
  while (!list.empty()) {
    const std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    if (word == "read") {
      rights |= kReadRight;
    } else if (word == "write") {
      rights |= kWriteRight;
    } else if (word == "admin") {
      rights |= kAllRights;
    } else {
      return Status(ErrorCode::kInvalidArgument,
                    "unknown right \"" + std::string(word) + "\", expected read, write or admin");
    }
  }
  return rights;
}

}  // namespace

bool isTenantName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTenantChars &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Result<TokenFile> TokenFile::load(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Status(ErrorCode::kInvalidArgument,
                  "token file " + path.string() + ": " + std::strerror(errno));
  }
  if ((info.st_mode & 0007) != 0) {
    return Status(
        ErrorCode::kInvalidArgument,
        "token file " + path.string() +
            ": others on this machine can use it; expected mode 0600 or 0640 (chmod 600)");
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readSmallFile(path, kMaxTokenFileBytes));
  return parse(text, path.string());
}

Result<TokenFile> TokenFile::parse(std::string_view text, std::string_view name) {
  TokenFile file;
  for (size_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    const auto wrong = [&](const std::string& what) {
      // Never the line itself: it may hold a token.
      return Status(ErrorCode::kInvalidArgument,
                    "token file " + std::string(name) + ":" + std::to_string(line) + ": " + what);
    };
    const auto parts = words(row);
    if (parts.empty() || parts[0].front() == '#') continue;
    if (parts.size() != 3) return wrong("expected TENANT RIGHTS TOKEN");
    if (!isTenantName(parts[0])) return wrong("tenant: expected 1 to 64 of A-Z a-z 0-9 . _ -");
    auto rights = parseRights(parts[1]);
    if (!rights.ok()) return wrong(rights.status().message());
    if (parts[2].size() < kMinTokenChars || parts[2].size() > kMaxTokenChars) {
      return wrong("token: expected 16 to 512 characters");
    }
    if (file.find(parts[2])) return wrong("token: the same one stands on an earlier line");
    file.entries_.push_back({sha256(asBytes(parts[2])), {std::string(parts[0]), *rights}});
  }
  if (file.entries_.empty()) {
    return Status(ErrorCode::kInvalidArgument,
                  "token file " + std::string(name) +
                      ": no tokens in it; expected lines of TENANT RIGHTS TOKEN");
  }
  return file;
}

std::optional<Grant> TokenFile::find(std::string_view token) const {
  const auto digest = sha256(asBytes(token));
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (constantTimeEqual(digest, entry.tokenDigest)) found = &entry;
  }
  if (found == nullptr) return std::nullopt;
  return found->grant;
}

std::vector<std::string> TokenFile::tenants() const {
  std::vector<std::string> out;
  for (const Entry& entry : entries_) out.push_back(entry.grant.tenant);
  return out;
}

Result<ServerSecret> loadOrCreateSecret(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    ServerSecret fresh;
    fillRandom(fresh);
    SPOLIA_RETURN_IF_ERROR(replaceSmallFile(path, asText(fresh)));
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readSmallFile(path, 1024));
  ServerSecret secret;
  if (text.size() != secret.size()) {
    return Status(ErrorCode::kInvalidArgument,
                  path.string() + ": expected 32 bytes, found " + std::to_string(text.size()) +
                      "; entries written under the lost secret cannot be reached any more");
  }
  std::memcpy(secret.data(), text.data(), secret.size());
  return secret;
}

tiers::Namespace namespaceOf(const ServerSecret& secret, std::string_view tenant) {
  const std::string input = "spolia namespace 1:" + std::string(tenant);
  return {std::string(tenant), hmacSha256(secret, asBytes(input))};
}

}  // namespace spolia::service
