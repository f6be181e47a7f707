// BodyFields: the fields of a request's body, each of the type that is expected; keeps the first
// error, naming the field. One thread; the object outlives it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "engine/http/api_error.h"

namespace spolia::engine {

class BodyFields {
 public:
  using Json = nlohmann::json;

  explicit BodyFields(const Json& object) : object_(object) {}

  const std::optional<ApiError>& error() const { return error_; }

  // Null for a field that is absent, or null.
  const Json* find(const Json& object, const char* name) const;
  const Json* find(const char* name) const { return find(object_, name); }

  // The field is not what is expected; `found` null: it is missing.
  void fail(const std::string& param, const Json* found, const std::string& expected);
  // The field asks for what is not done.
  void refuse(const std::string& param, const std::string& message);

  // Values of fields that may be absent; one of another type or range fails.
  std::string text(const char* name, bool required);
  bool flag(const Json& object, const char* name, const std::string& param);
  bool flag(const char* name) { return flag(object_, name, name); }
  std::optional<uint32_t> count(const Json& object, const char* name, const std::string& param,
                                uint32_t low, uint32_t high);
  std::optional<uint32_t> count(const char* name, uint32_t low, uint32_t high) {
    return count(object_, name, name, low, high);
  }
  std::optional<double> number(const char* name, double low, double high);
  std::optional<int64_t> integer(const char* name);

 private:
  const Json& object_;
  std::optional<ApiError> error_;
};

// How deep a body's JSON may nest.
inline constexpr int kMaxBodyDepth = 64;

// A request's body, which is an object.
std::variant<BodyFields::Json, ApiError> parseBody(std::string_view body);

}  // namespace spolia::engine
