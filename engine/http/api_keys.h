// ApiKeys: who may use the API. Keys are kept as digests, and compared so that the time taken tells
// nothing about them. Immutable; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/digest.h"
#include "codec/base/result.h"

namespace spolia::engine {

class ApiKeys {
 public:
  // One key a line: "name:key", or "name:digest" with its SHA-256 as 64 hexadecimal digits; empty
  // lines and those that begin with "#" are skipped. kInvalidArgument names file and line, never a
  // key; so it does for a file with keys as they are that others than its owner can read, and for
  // one without keys.
  static Result<ApiKeys> load(const std::filesystem::path& file);
  // The same from text; `name` stands for the file in errors.
  static Result<ApiKeys> parse(std::string_view text, const std::string& name);

  // The name of the key that an "Authorization" header brings; nothing for one that brings none of
  // these.
  std::optional<std::string> nameOf(std::string_view authorization) const;

 private:
  struct Entry {
    std::string name;
    Sha256Digest digest;
  };

  std::vector<Entry> entries_;
  bool plain_ = false;  // of at least one the key itself stood there
};

}  // namespace spolia::engine
