// Typed access to the values of a GGUF file, with errors that name file and key and say what was
// expected. Values are views: file and name outlive them. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/gguf/gguf_file.h"

namespace spolia::engine {

// An absent key has the fallback where one is given; every failure is kInvalidArgument "FILE: KEY
// is
// ..., expected ...".
class GgufFields {
 public:
  GgufFields(const GgufFile& gguf, std::string_view file) : gguf_(gguf), file_(file) {}

  std::string_view file() const { return file_; }
  // Null when absent.
  const GgufValue* find(const std::string& key) const;

  // Of any integer type.
  Result<uint32_t> integer(const std::string& key, uint32_t low, uint32_t high,
                           std::optional<uint32_t> fallback = std::nullopt) const;
  // Of any type of numbers.
  Result<double> number(const std::string& key, double low, double high,
                        std::optional<double> fallback = std::nullopt) const;
  Result<bool> boolean(const std::string& key, std::optional<bool> fallback = std::nullopt) const;
  // UTF-8.
  Result<std::string> string(const std::string& key,
                             std::optional<std::string> fallback = std::nullopt) const;
  // Arrays, of at most `most` elements; strings need not be UTF-8.
  Result<std::vector<std::string_view>> strings(const std::string& key, uint64_t most) const;
  Result<std::vector<float>> floats(const std::string& key, uint64_t most) const;
  Result<std::vector<int32_t>> integers(const std::string& key, uint64_t most) const;

  // "FILE: KEY is <what it is>, expected <expected>".
  Status wrong(const std::string& key, std::string_view expected,
               ErrorCode code = ErrorCode::kInvalidArgument) const;

 private:
  Result<const GgufValue*> array(const std::string& key, GgufType type, uint64_t most) const;

  const GgufFile& gguf_;
  std::string_view file_;
};

}  // namespace spolia::engine
