#include "engine/http/api_keys.h"

#include <sys/stat.h>

#include <algorithm>

#include "codec/base/bytes.h"
#include "engine/model/json_file.h"

namespace spolia::engine {

namespace {

constexpr size_t kMostFileBytes = size_t{16} << 20;
constexpr size_t kLeastKeyBytes = 16;
constexpr std::string_view kScheme = "bearer ";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// Looks at every byte, wherever they differ.
bool equalInConstantTime(std::span<const std::byte> a, std::span<const std::byte> b) {
  volatile unsigned different = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    different = different | static_cast<unsigned>(a[i] ^ b[i]);
  }
  return different == 0;
}

}  // namespace

Result<ApiKeys> ApiKeys::parse(std::string_view text, const std::string& name) {
  ApiKeys out;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const auto wrong = [&](const std::string& expected) {
      return Status(ErrorCode::kInvalidArgument,
                    name + ":" + std::to_string(number) + ": expected " + expected);
    };
    const size_t colon = line.find(':');
    const std::string_view keyName = trimmed(line.substr(0, colon));
    if (colon == std::string_view::npos || keyName.empty()) return wrong("NAME:KEY or NAME:SHA256");
    const std::string_view key = trimmed(line.substr(colon + 1));
    if (key.size() < kLeastKeyBytes || key.find_first_of(" \t") != std::string_view::npos) {
      return wrong("a key of at least " + std::to_string(kLeastKeyBytes) +
                   " characters without blanks");
    }
    if (std::ranges::count(out.entries_, keyName, &Entry::name) > 0) {
      return wrong("another name, \"" + std::string(keyName) + "\" stands further up");
    }
    const auto digest = digestFromHex(key);
    out.plain_ |= !digest.ok();
    out.entries_.push_back(
        {std::string(keyName), Sha256Digest{digest.ok() ? *digest : sha256(asBytes(key))}});
  }
  if (out.entries_.empty()) {
    return Status(ErrorCode::kInvalidArgument, name + " has no keys, expected lines NAME:KEY");
  }
  return out;
}

Result<ApiKeys> ApiKeys::load(const std::filesystem::path& file) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readTextFile(file, kMostFileBytes));
  SPOLIA_ASSIGN_OR_RETURN(ApiKeys out, parse(text, file.string()));
  struct stat state {};
  if (::stat(file.c_str(), &state) != 0) {
    return Status(ErrorCode::kIoError, file.string() + " cannot be read");
  }
  if (out.plain_ && (state.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    return Status(ErrorCode::kInvalidArgument,
                  file.string() +
                      " can be read by others, expected mode 600 (chmod 600), or "
                      "SHA-256 digests in place of keys");
  }
  return out;
}

std::optional<std::string> ApiKeys::nameOf(std::string_view authorization) const {
  const std::string_view scheme = authorization.substr(0, kScheme.size());
  const bool bearer = std::ranges::equal(scheme, kScheme, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
  });
  if (!bearer) return std::nullopt;
  const auto given = sha256(asBytes(trimmed(authorization.substr(kScheme.size()))));
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (equalInConstantTime(entry.digest.bytes, given)) found = &entry;
  }
  return found ? std::optional(found->name) : std::nullopt;
}

}  // namespace spolia::engine
