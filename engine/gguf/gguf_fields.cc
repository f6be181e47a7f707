#include "engine/gguf/gguf_fields.h"

#include <cstring>

#include "engine/model/json_file.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

template <typename T>
T plain(ByteSpan bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string_view text(ByteSpan bytes) {
  return asText(bytes.subspan(sizeof(uint64_t)));
}

// What a value says; null where it is an array or absent.
json plainJson(const GgufValue* value) {
  if (!value || value->array) return {};
  switch (value->type) {
    case GgufType::kU8:
      return plain<uint8_t>(value->bytes);
    case GgufType::kI8:
      return plain<int8_t>(value->bytes);
    case GgufType::kU16:
      return plain<uint16_t>(value->bytes);
    case GgufType::kI16:
      return plain<int16_t>(value->bytes);
    case GgufType::kU32:
      return plain<uint32_t>(value->bytes);
    case GgufType::kI32:
      return plain<int32_t>(value->bytes);
    case GgufType::kF32:
      return plain<float>(value->bytes);
    case GgufType::kBool:
      return plain<uint8_t>(value->bytes) != 0;
    case GgufType::kString:
      return std::string(text(value->bytes));
    case GgufType::kU64:
      return plain<uint64_t>(value->bytes);
    case GgufType::kI64:
      return plain<int64_t>(value->bytes);
    case GgufType::kF64:
      return plain<double>(value->bytes);
    case GgufType::kArray:
      break;
  }
  return {};
}

std::string described(const GgufValue* value) {
  if (!value) return "missing";
  if (!value->array) return describeJson(plainJson(value));
  return "an array of " + std::to_string(value->count) + " x " +
         std::string(ggufTypeName(value->type));
}

}  // namespace

const GgufValue* GgufFields::find(const std::string& key) const {
  const auto it = gguf_.values.find(key);
  return it == gguf_.values.end() ? nullptr : &it->second;
}

Status GgufFields::wrong(const std::string& key, std::string_view expected, ErrorCode code) const {
  return Status(code, std::string(file_) + ": " + key + " is " + described(find(key)) +
                          ", expected " + std::string(expected));
}

Result<uint32_t> GgufFields::integer(const std::string& key, uint32_t low, uint32_t high,
                                     std::optional<uint32_t> fallback) const {
  const GgufValue* value = find(key);
  if (!value && fallback) return *fallback;
  const json found = plainJson(value);
  const bool positive =
      found.is_number_unsigned() || (found.is_number_integer() && found.get<int64_t>() >= 0);
  if (!positive || found.get<uint64_t>() < low || found.get<uint64_t>() > high) {
    return wrong(key, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return found.get<uint32_t>();
}

Result<double> GgufFields::number(const std::string& key, double low, double high,
                                  std::optional<double> fallback) const {
  const GgufValue* value = find(key);
  if (!value && fallback) return *fallback;
  const json found = plainJson(value);
  if (!found.is_number() || !(found.get<double>() >= low) || !(found.get<double>() <= high)) {
    return wrong(key, "a number from " + json(low).dump() + " to " + json(high).dump());
  }
  return found.get<double>();
}

Result<bool> GgufFields::boolean(const std::string& key, std::optional<bool> fallback) const {
  const GgufValue* value = find(key);
  if (!value && fallback) return *fallback;
  const json found = plainJson(value);
  if (!found.is_boolean()) return wrong(key, "a bool");
  return found.get<bool>();
}

Result<std::string> GgufFields::string(const std::string& key,
                                       std::optional<std::string> fallback) const {
  const GgufValue* value = find(key);
  if (!value && fallback) return *fallback;
  if (!value || value->array || value->type != GgufType::kString ||
      !isValidUtf8(text(value->bytes))) {
    return wrong(key, "a string of UTF-8");
  }
  return std::string(text(value->bytes));
}

Result<const GgufValue*> GgufFields::array(const std::string& key, GgufType type,
                                           uint64_t most) const {
  const GgufValue* value = find(key);
  if (value && value->array && value->type == type && value->count <= most) return value;
  return wrong(
      key, "an array of at most " + std::to_string(most) + " x " + std::string(ggufTypeName(type)));
}

Result<std::vector<std::string_view>> GgufFields::strings(const std::string& key,
                                                          uint64_t most) const {
  SPOLIA_ASSIGN_OR_RETURN(const GgufValue* value, array(key, GgufType::kString, most));
  std::vector<std::string_view> out;
  out.reserve(value->count);
  ByteReader reader(value->bytes);
  for (uint64_t i = 0; i < value->count; ++i) out.push_back(asText(reader.bytes(reader.u64())));
  return out;
}

Result<std::vector<float>> GgufFields::floats(const std::string& key, uint64_t most) const {
  SPOLIA_ASSIGN_OR_RETURN(const GgufValue* value, array(key, GgufType::kF32, most));
  std::vector<float> out(value->count);
  if (!out.empty()) std::memcpy(out.data(), value->bytes.data(), value->bytes.size());
  return out;
}

Result<std::vector<int32_t>> GgufFields::integers(const std::string& key, uint64_t most) const {
  SPOLIA_ASSIGN_OR_RETURN(const GgufValue* value, array(key, GgufType::kI32, most));
  std::vector<int32_t> out(value->count);
  if (!out.empty()) std::memcpy(out.data(), value->bytes.data(), value->bytes.size());
  return out;
}

}  // namespace spolia::engine
