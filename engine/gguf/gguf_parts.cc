#include "engine/gguf/gguf_parts.h"

#include <cstdio>
#include <set>
#include <string>

#include "engine/gguf/gguf_fields.h"

namespace spolia::engine {

namespace {

constexpr uint32_t kMaxParts = 1000;
constexpr uint32_t kMostTensors = 1 << 20;
constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

// "-00002-of-00003.gguf"; the first part is number 0.
std::string suffixOf(uint32_t number, uint32_t count) {
  char text[40];
  std::snprintf(text, sizeof text, "-%05u-of-%05u.gguf", number + 1, count);
  return text;
}

// Appends a file and its tensors; its values are given back.
Result<GgufFile> addFile(const std::filesystem::path& path, GgufParts& out) {
  SPOLIA_ASSIGN_OR_RETURN(MappedFile map, MappedFile::open(path));
  SPOLIA_ASSIGN_OR_RETURN(GgufFile file, parseGguf(map.bytes(), path.string()));
  for (GgufTensor& tensor : file.tensors) {
    out.gguf.tensors.push_back(std::move(tensor));
    out.fileOf.push_back(out.maps.size());
  }
  out.maps.push_back(std::move(map));
  return file;
}

Status checkPart(const GgufFile& part, const std::string& file, uint32_t number, uint32_t count) {
  const GgufFields fields(part, file);
  for (const auto& [key, expected] : {std::pair(kNumber, number), std::pair(kCount, count)}) {
    SPOLIA_ASSIGN_OR_RETURN(const uint32_t found, fields.integer(key, 0, kMaxParts));
    if (found != expected) {
      return fields.wrong(key, std::to_string(expected) + " as in the first part and the names",
                          ErrorCode::kCorrupt);
    }
  }
  return Status();
}

Status checkTogether(const GgufParts& parts, const GgufFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t promised, fields.integer(kTensors, 0, kMostTensors));
  if (promised != parts.gguf.tensors.size()) {
    return fields.wrong(kTensors,
                        std::to_string(parts.gguf.tensors.size()) + ", those of all parts",
                        ErrorCode::kCorrupt);
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < parts.gguf.tensors.size(); ++i) {
    const std::string& name = parts.gguf.tensors[i].name;
    if (names.insert(name).second) continue;
    return Status(ErrorCode::kCorrupt, parts.maps[parts.fileOf[i]].stamp().path.string() +
                                           ": tensor \"" + name +
                                           "\" stands in an earlier part too");
  }
  return Status();
}

Status addFurtherParts(const std::string& path, const GgufFields& fields, uint32_t count,
                       GgufParts& out) {
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t number, fields.integer(kNumber, 0, kMaxParts));
  if (number >= count) return fields.wrong(kNumber, "less than " + std::string(kCount));
  const std::string suffix = suffixOf(number, count);
  if (!path.ends_with(suffix)) {
    return Status(ErrorCode::kInvalidArgument, path + ": it is part " + std::to_string(number + 1) +
                                                   " of " + std::to_string(count) +
                                                   ", expected a name that ends with " + suffix);
  }
  const std::string stem = path.substr(0, path.size() - suffix.size());
  if (number != 0) {
    return Status(ErrorCode::kInvalidArgument,
                  path + ": it is part " + std::to_string(number + 1) + " of " +
                      std::to_string(count) + ", expected the first: " + stem + suffixOf(0, count));
  }
  for (uint32_t i = 1; i < count; ++i) {
    const std::string next = stem + suffixOf(i, count);
    SPOLIA_ASSIGN_OR_RETURN(const GgufFile part, addFile(next, out));
    SPOLIA_RETURN_IF_ERROR(checkPart(part, next, i, count));
  }
  return checkTogether(out, fields);
}

}  // namespace

Result<GgufParts> openGguf(const std::filesystem::path& path) {
  GgufParts out;
  SPOLIA_ASSIGN_OR_RETURN(GgufFile first, addFile(path, out));
  out.gguf.values = std::move(first.values);
  const std::string name = path.string();
  const GgufFields fields(out.gguf, name);
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t count, fields.integer(kCount, 0, kMaxParts, 1));
  if (count > 1) SPOLIA_RETURN_IF_ERROR(addFurtherParts(name, fields, count, out));
  return out;
}

}  // namespace spolia::engine
