// Reading untrusted JSON files: bounded in size and depth, no duplicate keys, and typed access to
// fields with errors that name file and field and say what was expected. Values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia::engine {

// The whole file. kNotFound or kIoError, naming the path; kInvalidArgument beyond `limit` bytes.
Result<std::string> readTextFile(const std::filesystem::path& path, size_t limit);

// The document in `text`; `name` stands for the file in errors. kInvalidArgument, with the place,
// for anything but JSON that is no deeper than kMaxJsonDepth and repeats no key within an object.
Result<nlohmann::json> parseJson(std::string_view text, std::string_view name);

inline constexpr int kMaxJsonDepth = 32;

// A number as text, a string in quotes, else "an object", "null" and so on: what errors say they
// found. Long strings are cut.
std::string describeJson(const nlohmann::json& value);

// Fields of one JSON object. Views: file name and object outlive it. A field that is absent or null
// has the fallback where one is given; every failure is kInvalidArgument "FILE: FIELD is ...,
// expected ...".
class JsonFields {
 public:
  // `object` is a JSON object; `prefix` ("rope_parameters.") stands before field names in errors.
  JsonFields(const nlohmann::json& object, std::string_view file, std::string prefix = {})
      : object_(object), file_(file), prefix_(std::move(prefix)) {}

  // Whether it stands there at all, JSON null or not.
  bool has(const char* field) const;
  // The field, or null when it is absent or JSON null.
  const nlohmann::json* find(const char* field) const;

  Result<uint32_t> integer(const char* field, uint32_t low, uint32_t high,
                           std::optional<uint32_t> fallback = std::nullopt) const;
  Result<double> number(const char* field, double low, double high,
                        std::optional<double> fallback = std::nullopt) const;
  Result<bool> boolean(const char* field, std::optional<bool> fallback = std::nullopt) const;
  Result<std::string> string(const char* field,
                             std::optional<std::string> fallback = std::nullopt) const;

  // "FILE: FIELD is <what it is>, expected <expected>".
  Status wrong(const char* field, std::string_view expected,
               ErrorCode code = ErrorCode::kInvalidArgument) const;

 private:
  const nlohmann::json& object_;
  std::string_view file_;
  std::string prefix_;
};

}  // namespace spolia::engine
