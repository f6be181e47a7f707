#include "engine/model/json_file.h"

#include <cmath>
#include <fstream>
#include <set>
#include <system_error>

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr size_t kShownBytes = 60;

// Refuses depth and duplicate keys while the parser runs: by throwing, as the parser itself does.
class Guard {
 public:
  bool operator()(int depth, json::parse_event_t event, const json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= kMaxJsonDepth) {
          throw std::runtime_error("nested deeper than " + std::to_string(kMaxJsonDepth));
        }
        keys_.resize(depth + 1);
        keys_[depth].clear();
        break;
      case json::parse_event_t::key:
        noteKey(depth - 1, value.get_ref<const std::string&>());
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void noteKey(int depth, const std::string& key) {
    if (!keys_[depth].insert(key).second) {
      throw std::runtime_error("key \"" + key.substr(0, kShownBytes) + "\" stands there twice");
    }
  }

  std::vector<std::set<std::string>> keys_;  // per depth
};

}  // namespace

Result<std::string> readTextFile(const std::filesystem::path& path, size_t limit) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error);
  if (!std::filesystem::exists(kind)) {
    return Status(ErrorCode::kNotFound, path.string() + " does not exist");
  }
  if (!std::filesystem::is_regular_file(kind)) {
    return Status(ErrorCode::kInvalidArgument, path.string() + " is not a regular file");
  }
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size > limit) {
    return Status(ErrorCode::kInvalidArgument, path.string() + " has " + std::to_string(size) +
                                                   " bytes, expected at most " +
                                                   std::to_string(limit));
  }
  std::ifstream in(path, std::ios::binary);
  std::string text(error ? 0 : size, '\0');
  if (error || !in || !in.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return Status(ErrorCode::kIoError, path.string() + " cannot be read");
  }
  return text;
}

Result<json> parseJson(std::string_view text, std::string_view name) {
  auto fail = [&](std::string_view why) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(name) + ": expected JSON, but " + std::string(why));
  };
  try {
    Guard guard;
    return json::parse(text.begin(), text.end(), std::ref(guard));
  } catch (const json::parse_error& error) {
    return fail("it breaks at byte " + std::to_string(error.byte));
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

std::string describeJson(const json& value) {
  switch (value.type()) {
    case json::value_t::string: {
      // Cut before quoting, and quoted with replacement: the bytes are the file's.
      std::string text = value.get_ref<const std::string&>().substr(0, kShownBytes);
      return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
    }
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "a list";
    case json::value_t::discarded:
    case json::value_t::binary:
      return "something else";
    default:
      return value.dump();
  }
}

bool JsonFields::has(const char* field) const {
  return object_.contains(field);
}

const json* JsonFields::find(const char* field) const {
  const auto it = object_.find(field);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

Status JsonFields::wrong(const char* field, std::string_view expected, ErrorCode code) const {
  const json* value = find(field);
  return Status(code, std::string(file_) + ": " + prefix_ + field + " is " +
                          (value ? describeJson(*value) : "missing") + ", expected " +
                          std::string(expected));
}

Result<uint32_t> JsonFields::integer(const char* field, uint32_t low, uint32_t high,
                                     std::optional<uint32_t> fallback) const {
  const json* value = find(field);
  if (!value && fallback) return *fallback;
  if (!value || !value->is_number_unsigned() || value->get<uint64_t>() < low ||
      value->get<uint64_t>() > high) {
    return wrong(field, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value->get<uint32_t>();
}

Result<double> JsonFields::number(const char* field, double low, double high,
                                  std::optional<double> fallback) const {
  const json* value = find(field);
  if (!value && fallback) return *fallback;
  if (!value || !value->is_number() || !(value->get<double>() >= low) ||
      !(value->get<double>() <= high)) {
    return wrong(field, "a number from " + json(low).dump() + " to " + json(high).dump());
  }
  return value->get<double>();
}

Result<bool> JsonFields::boolean(const char* field, std::optional<bool> fallback) const {
  const json* value = find(field);
  if (!value && fallback) return *fallback;
  if (!value || !value->is_boolean()) return wrong(field, "true or false");
  return value->get<bool>();
}

Result<std::string> JsonFields::string(const char* field,
                                       std::optional<std::string> fallback) const {
  const json* value = find(field);
  if (!value && fallback) return *fallback;
  if (!value || !value->is_string()) return wrong(field, "a string");
  return value->get<std::string>();
}

}  // namespace spolia::engine
