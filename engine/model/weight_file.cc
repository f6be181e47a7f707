#include "engine/model/weight_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/model/json_file.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference parser
constexpr size_t kMaxIndexBytes = 100'000'000;
constexpr size_t kMaxRank = 8;

struct TypeInfo {
  TensorType type;
  std::string_view name;
  size_t size;  // bytes of an element; 0 for blocks, which no safetensors file has
};
constexpr TypeInfo kTypes[] = {
    {TensorType::kF32, "F32", 4},        {TensorType::kF16, "F16", 2},
    {TensorType::kBf16, "BF16", 2},      {TensorType::kF64, "F64", 8},
    {TensorType::kBool, "BOOL", 1},      {TensorType::kU8, "U8", 1},
    {TensorType::kI8, "I8", 1},          {TensorType::kU16, "U16", 2},
    {TensorType::kI16, "I16", 2},        {TensorType::kU32, "U32", 4},
    {TensorType::kI32, "I32", 4},        {TensorType::kU64, "U64", 8},
    {TensorType::kI64, "I64", 8},        {TensorType::kF8E4m3, "F8_E4M3", 1},
    {TensorType::kF8E5m2, "F8_E5M2", 1}, {TensorType::kQ8_0, "Q8_0", 0},
    {TensorType::kQ4_0, "Q4_0", 0},      {TensorType::kQ4K, "Q4_K", 0},
    {TensorType::kQ6K, "Q6_K", 0},
};

std::optional<TensorType> typeFromName(std::string_view name) {
  for (const TypeInfo& info : kTypes) {
    if (info.name == name && info.size > 0) return info.type;
  }
  return std::nullopt;
}

std::string systemError(int error) {
  return std::error_code(error, std::generic_category()).message();
}

Status corrupt(std::string_view file, const std::string& what) {
  return Status(ErrorCode::kCorrupt, std::string(file) + ": " + what);
}

// Reads one entry of a safetensors header. `data` is what offsets refer to.
class EntryParser {
 public:
  EntryParser(std::string_view file, ByteSpan data) : file_(file), data_(data) {}

  Result<TensorEntry> parse(const std::string& name, const json& value) const {
    TensorEntry out;
    out.name = name;
    if (!value.is_object()) return wrong(name, "", value, "an object");
    const auto type = value.find("dtype");
    if (type == value.end() || !type->is_string()) {
      return wrong(name, ".dtype", member(value, "dtype"), "an element type");
    }
    const auto known = typeFromName(type->get_ref<const std::string&>());
    if (!known) return wrong(name, ".dtype", *type, "a known element type (F32, F16, BF16, ...)");
    out.type = *known;
    SPOLIA_ASSIGN_OR_RETURN(out.shape, numbers(name, "shape", value, kMaxRank));
    SPOLIA_ASSIGN_OR_RETURN(const auto offsets, numbers(name, "data_offsets", value, 2));
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_.size()) {
      return corrupt(file_, quoted(name) + ".data_offsets is " + shapeText(offsets) +
                                ", expected two ascending offsets up to " +
                                std::to_string(data_.size()) +
                                ", the bytes there are (is the file truncated?)");
    }
    const uint64_t length = offsets[1] - offsets[0];
    const auto expected = byteLength(out);
    if (!expected || *expected != length) {
      return corrupt(file_, quoted(name) + " has " + std::to_string(length) +
                                " bytes, expected those of " +
                                std::string(tensorTypeName(out.type)) + " " + shapeText(out.shape));
    }
    out.bytes = data_.subspan(offsets[0], length);
    return out;
  }

 private:
  static std::string quoted(const std::string& name) {
    return "tensor " + describeJson(json(name));
  }

  static json member(const json& object, const char* field) { return object.value(field, json()); }

  Status wrong(const std::string& name, std::string_view field, const json& found,
               std::string_view expected) const {
    return corrupt(file_, quoted(name) + std::string(field) + " is " + describeJson(found) +
                              ", expected " + std::string(expected));
  }

  Result<std::vector<uint64_t>> numbers(const std::string& name, const char* field,
                                        const json& object, size_t most) const {
    const auto list = object.find(field);
    std::vector<uint64_t> out;
    bool fits = list != object.end() && list->is_array() && list->size() <= most;
    for (size_t i = 0; fits && i < list->size(); ++i) {
      fits = (*list)[i].is_number_unsigned();
      if (fits) out.push_back((*list)[i].get<uint64_t>());
    }
    if (!fits) {
      return wrong(name, std::string(".") + field, member(object, field),
                   "a list of at most " + std::to_string(most) + " non-negative integers");
    }
    return out;
  }

  // Nothing on overflow.
  static std::optional<uint64_t> byteLength(const TensorEntry& entry) {
    uint64_t length = kTypes[static_cast<size_t>(entry.type)].size;
    for (const uint64_t extent : entry.shape) {
      if (__builtin_mul_overflow(length, extent, &length)) return std::nullopt;
    }
    return length;
  }

  std::string_view file_;
  ByteSpan data_;
};

// Data laid end to end covers the file exactly: no overlap, no hole, no rest.
Status checkCover(const std::vector<TensorEntry>& tensors, ByteSpan data, std::string_view name) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) <
           std::pair(b->bytes.data(), b->bytes.size());
  });
  uint64_t end = 0;
  for (const TensorEntry* tensor : order) {
    const auto begin = static_cast<uint64_t>(tensor->bytes.data() - data.data());
    if (begin != end) {
      return corrupt(name, "tensor " + describeJson(json(tensor->name)) + " begins at " +
                               std::to_string(begin) + ", expected " + std::to_string(end) +
                               ": no hole and no overlap");
    }
    end = begin + tensor->bytes.size();
  }
  if (end != data.size()) {
    return corrupt(name, "the tensors end at byte " + std::to_string(end) +
                             " of the data, expected " + std::to_string(data.size()) + ", its end");
  }
  return Status();
}

void sortByName(std::vector<TensorEntry>& tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
}

class SafetensorsSource final : public WeightSource {
 public:
  std::span<const FileStamp> files() const override { return stamps_; }
  std::span<const TensorEntry> tensors() const override { return tensors_; }

  // Adds a file's tensors, and gives their names.
  Result<std::set<std::string>> add(const std::filesystem::path& path) {
    SPOLIA_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
    SPOLIA_ASSIGN_OR_RETURN(std::vector<TensorEntry> found,
                            parseSafetensors(file.bytes(), path.string()));
    std::set<std::string> names;
    for (TensorEntry& tensor : found) {
      tensor.file = stamps_.size();
      names.insert(tensor.name);
      tensors_.push_back(std::move(tensor));
    }
    stamps_.push_back(file.stamp());
    maps_.push_back(std::move(file));
    return names;
  }

  // Sorts; fails when two files hold one name.
  Status finish() {
    sortByName(tensors_);
    for (size_t i = 1; i < tensors_.size(); ++i) {
      if (tensors_[i].name != tensors_[i - 1].name) continue;
      return corrupt(stamps_[tensors_[i].file].path.string(),
                     "tensor " + describeJson(json(tensors_[i].name)) + " stands in " +
                         stamps_[tensors_[i - 1].file].path.string() + " too");
    }
    return Status();
  }

 private:
  std::vector<FileStamp> stamps_;
  std::vector<MappedFile> maps_;
  std::vector<TensorEntry> tensors_;
};

// Shard name -> the tensors the index promises to be there.
Result<std::map<std::string, std::vector<std::string>>> parseIndex(std::string_view text,
                                                                   const std::string& name) {
  SPOLIA_ASSIGN_OR_RETURN(const json document, parseJson(text, name));
  const json* weightMap = nullptr;
  if (document.is_object()) weightMap = JsonFields(document, name).find("weight_map");
  if (!weightMap || !weightMap->is_object() || weightMap->empty()) {
    return corrupt(name, "weight_map is missing or empty, expected tensor names and their files");
  }
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, shard] : weightMap->items()) {
    // A name alone: an index must not lead outside its directory.
    if (!shard.is_string() || shard.get<std::string>().find('/') != std::string::npos ||
        !shard.get<std::string>().ends_with(".safetensors") ||
        shard.get<std::string>().find('\0') != std::string::npos) {
      return corrupt(name, "weight_map[" + describeJson(json(tensor)) + "] is " +
                               describeJson(shard) + ", expected the name of a .safetensors file");
    }
    shards[shard.get<std::string>()].push_back(tensor);
  }
  return shards;
}

Result<std::unique_ptr<WeightSource>> openShards(const std::filesystem::path& directory,
                                                 const std::filesystem::path& index) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readTextFile(index, kMaxIndexBytes));
  SPOLIA_ASSIGN_OR_RETURN(const auto shards, parseIndex(text, index.string()));
  auto source = std::make_unique<SafetensorsSource>();
  for (const auto& [shard, promised] : shards) {
    auto names = source->add(directory / shard);
    if (!names.ok()) {
      if (names.status().code() != ErrorCode::kNotFound) return names.status();
      return Status(ErrorCode::kNotFound, names.status().message() + ", expected the shard that " +
                                              index.string() + " names");
    }
    for (const std::string& tensor : promised) {
      if (names->contains(tensor)) continue;
      return corrupt((directory / shard).string(), "tensor " + describeJson(json(tensor)) +
                                                       " is missing, expected as " +
                                                       index.string() + " says");
    }
  }
  SPOLIA_RETURN_IF_ERROR(source->finish());
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace

std::string_view tensorTypeName(TensorType type) {
  return kTypes[static_cast<size_t>(type)].name;
}

std::optional<WeightType> weightTypeOf(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return WeightType::kF32;
    case TensorType::kF16:
      return WeightType::kF16;
    case TensorType::kBf16:
      return WeightType::kBf16;
    case TensorType::kQ8_0:
      return WeightType::kQ8_0;
    case TensorType::kQ4_0:
      return WeightType::kQ4_0;
    case TensorType::kQ4K:
      return WeightType::kQ4K;
    case TensorType::kQ6K:
      return WeightType::kQ6K;
    default:
      return std::nullopt;
  }
}

ByteSpan TensorEntry::row(uint64_t index) const {
  const uint64_t count = rows();
  if (interleavedHeads > 0) {
    const uint64_t channels = count / interleavedHeads, half = channels / 2;
    const uint64_t head = index / channels, channel = index % channels;
    index = head * channels + (channel < half ? 2 * channel : 2 * (channel - half) + 1);
  }
  const uint64_t length = bytes.size() / count;
  return bytes.subspan(index * length, length);
}

std::string shapeText(std::span<const uint64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    out += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return out + "]";
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return Status(ErrorCode::kNotFound, path.string() + " does not exist");
    return Status(ErrorCode::kIoError, path.string() + " cannot be opened: " + systemError(errno));
  }
  struct stat info {};
  void* base = nullptr;
  int error = ::fstat(fd, &info) == 0 ? 0 : errno;
  if (error == 0 && !S_ISREG(info.st_mode)) error = EISDIR;
  if (error == 0 && info.st_size > 0) {
    base = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) error = errno;
  }
  ::close(fd);
  if (error != 0) {
    return Status(ErrorCode::kIoError, path.string() + " cannot be mapped: " + systemError(error));
  }
  const auto size = static_cast<size_t>(info.st_size);
  const int64_t modifiedNs = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  return MappedFile({path, size, modifiedNs, info.st_ino},
                    {static_cast<const std::byte*>(base), size});
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : stamp_(std::move(other.stamp_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(stamp_, other.stamp_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

const TensorEntry* WeightSource::find(std::string_view name) const {
  const auto all = tensors();
  const auto it = std::lower_bound(
      all.begin(), all.end(), name,
      [](const TensorEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return it == all.end() || it->name != name ? nullptr : &*it;
}

Result<std::vector<TensorEntry>> parseSafetensors(ByteSpan bytes, std::string_view name) {
  ByteReader reader(bytes);
  const uint64_t headerBytes = reader.u64();
  if (!reader.ok()) {
    return corrupt(name, "it has " + std::to_string(bytes.size()) +
                             " bytes, expected a header length of 8 bytes first");
  }
  if (headerBytes > kMaxHeaderBytes || headerBytes > reader.remaining()) {
    return corrupt(name,
                   "the header is declared as " + std::to_string(headerBytes) +
                       " bytes, expected at most " +
                       std::to_string(std::min<uint64_t>(kMaxHeaderBytes, reader.remaining())));
  }
  const std::string_view header = asText(reader.bytes(headerBytes));
  const ByteSpan data = reader.bytes(reader.remaining());
  if (!header.starts_with('{')) return corrupt(name, "expected a header that begins with '{'");
  auto document = parseJson(header, name);
  if (!document.ok()) {
    return Status(ErrorCode::kCorrupt, document.status().message() + " of the header");
  }
  std::vector<TensorEntry> tensors;
  const EntryParser parser(name, data);
  for (const auto& [tensor, value] : document->items()) {
    if (tensor == "__metadata__") continue;
    SPOLIA_ASSIGN_OR_RETURN(TensorEntry entry, parser.parse(tensor, value));
    tensors.push_back(std::move(entry));
  }
  SPOLIA_RETURN_IF_ERROR(checkCover(tensors, data, name));
  sortByName(tensors);
  return tensors;
}

Result<std::unique_ptr<WeightSource>> openWeights(const std::filesystem::path& directory) {
  const std::filesystem::path index = directory / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) return openShards(directory, index);
  auto source = std::make_unique<SafetensorsSource>();
  auto names = source->add(directory / "model.safetensors");
  if (!names.ok()) {
    if (names.status().code() != ErrorCode::kNotFound) return names.status();
    return Status(ErrorCode::kNotFound,
                  names.status().message() + ", expected it or model.safetensors.index.json");
  }
  SPOLIA_RETURN_IF_ERROR(source->finish());
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace spolia::engine
