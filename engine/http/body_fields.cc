#include "engine/http/body_fields.h"

#include <cmath>
#include <set>
#include <vector>

#include "engine/model/json_file.h"

namespace spolia::engine {
namespace {

using Json = BodyFields::Json;

// Whether brackets nest deeper than kMaxBodyDepth. Told before parsing, so that hostile nesting
// costs neither stack nor memory.
bool isTooDeep(std::string_view body) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (inString) {
      if (c == '\\') ++i;
      if (c == '"') inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxBodyDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// The body as JSON; discarded where it is none, and `error` then says why.
Json parseBounded(std::string_view body, std::string& error) {
  if (isTooDeep(body)) {
    error = "the body nests deeper than " + std::to_string(kMaxBodyDepth) + " levels";
    return Json(Json::value_t::discarded);
  }
  // Which of two values holds is nothing two readers agree on.
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto look = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value).second) twice = value;
    return true;
  };
  try {
    Json out = Json::parse(body, look);
    if (twice.empty()) return out;
    error = "the body has the key \"" + twice + "\" twice in one object";
    return Json(Json::value_t::discarded);
  } catch (const Json::exception& failure) {
    error = std::string("the body is not valid JSON: ") + failure.what();
    return Json(Json::value_t::discarded);
  }
}

}  // namespace

std::variant<Json, ApiError> parseBody(std::string_view body) {
  const auto bad = [](std::string why) {
    return ApiError{400, "invalid_request_error", std::move(why), {}, "invalid_json"};
  };
  std::string why;
  Json object = parseBounded(body, why);
  if (object.is_discarded()) return bad(why);
  if (!object.is_object()) {
    return bad("the body is " + describeJson(object) + ", expected a JSON object");
  }
  return object;
}

const BodyFields::Json* BodyFields::find(const Json& object, const char* name) const {
  const auto at = object.find(name);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

void BodyFields::fail(const std::string& param, const Json* found, const std::string& expected) {
  if (error_) return;
  const std::string is = found ? "is " + describeJson(*found) : "is missing";
  error_ = badField(param, param + " " + is + ", expected " + expected);
  if (!found) error_->code = "missing_required_parameter";
}

void BodyFields::refuse(const std::string& param, const std::string& message) {
  if (!error_) error_ = badField(param, message);
  if (error_->param == param) error_->code = "unsupported_value";
}

std::string BodyFields::text(const char* name, bool required) {
  const Json* value = find(name);
  if (value && value->is_string()) return value->get<std::string>();
  if (value || required) fail(name, value, "a text");
  return {};
}

bool BodyFields::flag(const Json& object, const char* name, const std::string& param) {
  const Json* value = find(object, name);
  if (!value) return false;
  if (!value->is_boolean()) fail(param, value, "true or false");
  return value->is_boolean() && value->get<bool>();
}

std::optional<uint32_t> BodyFields::count(const Json& object, const char* name,
                                          const std::string& param, uint32_t low, uint32_t high) {
  const Json* value = find(object, name);
  if (!value) return std::nullopt;
  // 16.0 is a count too: some clients know one kind of number only.
  if (value->is_number()) {
    const double number = value->get<double>();
    if (number >= low && number <= high && number == std::floor(number)) {
      return static_cast<uint32_t>(number);
    }
  }
  fail(param, value, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return std::nullopt;
}

std::optional<double> BodyFields::number(const char* name, double low, double high) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (number >= low && number <= high) return number;
  fail(name, value, "a number from " + Json(low).dump() + " to " + Json(high).dump());
  return std::nullopt;
}

std::optional<int64_t> BodyFields::integer(const char* name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_number_integer()) return value->get<int64_t>();
  fail(name, value, "a whole number of 64 bits");
  return std::nullopt;
}

}  // namespace spolia::engine
