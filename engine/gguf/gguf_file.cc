#include "engine/gguf/gguf_file.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "engine/gguf/ggml_types.h"
#include "engine/model/json_file.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kVersion = 3;
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr uint64_t kUsualAlignment = 32, kMaxAlignment = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxNameBytes = 64;
constexpr uint32_t kMaxDimensions = 4;
// Far above any model there is: what is kept of a key or a name takes more than it has bytes.
constexpr uint64_t kMaxValues = 1 << 16, kMaxTensors = 1 << 18;

struct TypeInfo {
  std::string_view name;
  size_t size;  // bytes of an element, at least
};
constexpr TypeInfo kTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                               {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 8}, {"array", 12},
                               {"u64", 8}, {"i64", 8}, {"f64", 8}};

std::string inQuotes(std::string_view text) {
  return describeJson(nlohmann::json(std::string(text)));
}

// What one tensor's info says, before its bytes are looked for.
struct TensorInfo {
  GgufTensor tensor;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// Nothing on overflow, or where rows are not whole blocks.
std::optional<uint64_t> lengthOf(WeightType type, const std::vector<uint64_t>& dimensions) {
  if (dimensions[0] % blockValues(type) != 0) return std::nullopt;
  uint64_t out = dimensions[0] / blockValues(type);
  bool fits = !__builtin_mul_overflow(out, uint64_t{blockBytes(type)}, &out);
  for (size_t i = 1; i < dimensions.size(); ++i) {
    fits = fits && !__builtin_mul_overflow(out, dimensions[i], &out);
  }
  return fits ? std::optional(out) : std::nullopt;
}

class Parser {
 public:
  Parser(ByteSpan bytes, std::string_view name) : file_(bytes), reader_(bytes), name_(name) {}

  Result<GgufFile> parse() {
    if (file_.size() < kMagic.size() || asText(reader_.bytes(kMagic.size())) != kMagic) {
      return corrupt("expected a GGUF file, which begins with the letters GGUF");
    }
    SPOLIA_RETURN_IF_ERROR(checkVersion());
    const uint64_t tensors = reader_.u64(), values = reader_.u64();
    if (!reader_.ok()) return truncated("the counts of tensors and keys");
    if (tensors > kMaxTensors || values > kMaxValues) {
      return corrupt("it declares " + std::to_string(tensors) + " tensors and " +
                     std::to_string(values) + " keys, expected at most " +
                     std::to_string(kMaxTensors) + " and " + std::to_string(kMaxValues));
    }
    for (uint64_t i = 0; i < values; ++i) SPOLIA_RETURN_IF_ERROR(readValue(i));
    SPOLIA_ASSIGN_OR_RETURN(alignment_, alignment());
    for (uint64_t i = 0; i < tensors; ++i) SPOLIA_RETURN_IF_ERROR(readTensor(i));
    SPOLIA_RETURN_IF_ERROR(placeTensors());
    return std::move(out_);
  }

 private:
  Status corrupt(const std::string& what) const {
    return Status(ErrorCode::kCorrupt, std::string(name_) + ": " + what);
  }

  Status unsupported(const std::string& what) const {
    return Status(ErrorCode::kUnsupported, std::string(name_) + ": " + what);
  }

  Status truncated(const std::string& what) const {
    return corrupt(what + " would end behind the end of the file at byte " +
                   std::to_string(file_.size()) + " (is it truncated?)");
  }

  Status checkVersion() {
    const uint32_t version = reader_.u32();
    if (!reader_.ok()) return truncated("the version");
    if (version == kVersion) return Status();
    // Files of a big-endian machine have their version's bytes the other way round.
    const bool turned = version == __builtin_bswap32(kVersion);
    return unsupported("it is GGUF " +
                       (turned ? "of a big-endian machine" : "version " + std::to_string(version)) +
                       ", expected version " + std::to_string(kVersion) + ", little-endian");
  }

  // Nothing when the file ends before.
  std::optional<std::string_view> string() {
    const uint64_t length = reader_.u64();
    const ByteSpan bytes = reader_.bytes(length);
    if (!reader_.ok()) return std::nullopt;
    return asText(bytes);
  }

  Result<std::string> key(uint64_t index) {
    const std::string which = "key " + std::to_string(index);
    const auto text = string();
    if (!text) return truncated(which);
    const bool printable = std::ranges::all_of(*text, [](char c) { return c > ' ' && c <= '~'; });
    if (text->empty() || text->size() > kMaxKeyBytes || !printable) {
      return corrupt(which + " is " + inQuotes(*text) + ", expected 1 to " +
                     std::to_string(kMaxKeyBytes) + " printable ASCII characters");
    }
    return std::string(*text);
  }

  Result<GgufType> type(const std::string& key) {
    const uint32_t number = reader_.u32();
    if (!reader_.ok()) return truncated(key);
    if (number < std::size(kTypes)) return static_cast<GgufType>(number);
    return corrupt(key + " is of type " + std::to_string(number) + ", expected 0 to " +
                   std::to_string(std::size(kTypes) - 1));
  }

  Status readValue(uint64_t index) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string name, key(index));
    GgufValue value;
    SPOLIA_ASSIGN_OR_RETURN(value.type, type(name));
    if (value.type == GgufType::kArray) {
      value.array = true;
      SPOLIA_ASSIGN_OR_RETURN(value.type, type(name));
      value.count = reader_.u64();
      if (value.type == GgufType::kArray) {
        return unsupported(name + " is an array of arrays, expected one of plain values");
      }
    }
    SPOLIA_RETURN_IF_ERROR(takeElements(name, value));
    if (out_.values.emplace(name, value).second) return Status();
    return corrupt(name + " stands there twice, expected every key once");
  }

  // Walks over the elements, so that later readers need not look at bounds again.
  Status takeElements(const std::string& key, GgufValue& value) {
    const size_t size = kTypes[static_cast<size_t>(value.type)].size;
    if (!reader_.ok() || value.count > reader_.remaining() / size) {
      return truncated(key + ", of " + std::to_string(value.count) + " x " +
                       std::string(ggufTypeName(value.type)) + ",");
    }
    const size_t before = file_.size() - reader_.remaining();
    if (value.type == GgufType::kString) {
      for (uint64_t i = 0; i < value.count; ++i) {
        if (!string()) return truncated(key + "[" + std::to_string(i) + "]");
      }
    } else {
      reader_.skip(value.count * size);
    }
    value.bytes = file_.subspan(before, file_.size() - reader_.remaining() - before);
    if (value.type != GgufType::kBool) return Status();
    const bool sound =
        std::ranges::all_of(value.bytes, [](std::byte b) { return b <= std::byte{1}; });
    return sound ? Status() : corrupt(key + " is a bool of another byte, expected 0 or 1");
  }

  Result<uint64_t> alignment() const {
    const auto it = out_.values.find(kAlignmentKey);
    if (it == out_.values.end()) return kUsualAlignment;
    uint64_t found = 0;
    const GgufValue& value = it->second;
    const bool number =
        !value.array && (value.type == GgufType::kU32 || value.type == GgufType::kU64);
    if (number) std::memcpy(&found, value.bytes.data(), value.bytes.size());
    if (found >= 8 && found <= kMaxAlignment && (found & (found - 1)) == 0) return found;
    return corrupt(std::string(kAlignmentKey) + " is " +
                   (number ? std::to_string(found) : "no u32") +
                   ", expected a power of two from 8 to " + std::to_string(kMaxAlignment));
  }

  Status readTensor(uint64_t index) {
    const std::string which = "tensor " + std::to_string(index);
    const auto name = string();
    if (!name) return truncated(which);
    if (name->empty() || name->size() > kMaxNameBytes || !isValidUtf8(*name)) {
      return corrupt(which + " has the name " + inQuotes(*name) + ", expected UTF-8 of 1 to " +
                     std::to_string(kMaxNameBytes) + " bytes");
    }
    TensorInfo info;
    info.tensor.name = *name;
    const std::string tensor = "tensor " + inQuotes(*name);
    if (!names_.insert(info.tensor.name).second) {
      return corrupt(tensor + " stands there twice, expected every tensor once");
    }
    SPOLIA_RETURN_IF_ERROR(readDimensions(tensor, info.tensor.dimensions));
    const uint32_t number = reader_.u32();
    info.offset = reader_.u64();
    if (!reader_.ok()) return truncated(tensor);
    const auto known = tensorTypeOfGgml(number);
    if (!known) {
      return unsupported(tensor + " is of type " + ggmlTypeName(number) + ", expected one of " +
                         readGgmlTypes());
    }
    info.tensor.type = *known;
    const auto length = lengthOf(*weightTypeOf(*known), info.tensor.dimensions);
    if (!length) {
      return corrupt(tensor + " has dimensions " + shapeText(info.tensor.dimensions) +
                     ", expected rows of whole blocks of " + ggmlTypeName(number) +
                     " and fewer than 2^64 bytes");
    }
    info.length = *length;
    infos_.push_back(std::move(info));
    return Status();
  }

  Status readDimensions(const std::string& tensor, std::vector<uint64_t>& out) {
    const uint32_t count = reader_.u32();
    if (!reader_.ok()) return truncated(tensor);
    if (count == 0 || count > kMaxDimensions) {
      return corrupt(tensor + " has " + std::to_string(count) + " dimensions, expected 1 to " +
                     std::to_string(kMaxDimensions));
    }
    for (uint32_t i = 0; i < count; ++i) out.push_back(reader_.u64());
    if (!reader_.ok()) return truncated(tensor);
    if (std::ranges::find(out, 0u) == out.end()) return Status();
    return corrupt(tensor + " has dimensions " + shapeText(out) + ", expected none of 0");
  }

  // Data stand end to end, each rounded up to the alignment; the file may end with the last one or
  // with its padding.
  Status placeTensors() {
    const uint64_t head = file_.size() - reader_.remaining();
    const uint64_t padding = padded(head) - head;
    const ByteSpan data = file_.subspan(std::min<uint64_t>(padded(head), file_.size()));
    std::vector<TensorInfo*> order;
    for (TensorInfo& info : infos_) order.push_back(&info);
    std::ranges::sort(order, {}, &TensorInfo::offset);
    uint64_t end = 0, expected = 0;
    for (TensorInfo* info : order) {
      const std::string tensor = "tensor " + inQuotes(info->tensor.name);
      if (info->offset != expected) {
        return corrupt(tensor + " begins at byte " + std::to_string(info->offset) +
                       " of the data, expected " + std::to_string(expected) +
                       ": no hole, no overlap, aligned to " + std::to_string(alignment_));
      }
      if (info->offset > data.size() || info->length > data.size() - info->offset) {
        return truncated(tensor + ", of " + std::to_string(info->length) + " bytes,");
      }
      info->tensor.bytes = data.subspan(info->offset, info->length);
      end = info->offset + info->length;
      expected = padded(end);
    }
    const bool whole = infos_.empty() ? reader_.remaining() <= padding
                                      : data.size() == end || data.size() == expected;
    if (!whole) {
      return corrupt("its data end at byte " + std::to_string(end) + ", but there are " +
                     std::to_string(data.size()) + ", expected nothing behind them but padding");
    }
    for (TensorInfo& info : infos_) out_.tensors.push_back(std::move(info.tensor));
    return Status();
  }

  // What is inside the file cannot overflow.
  uint64_t padded(uint64_t size) const { return (size + alignment_ - 1) & ~(alignment_ - 1); }

  ByteSpan file_;
  ByteReader reader_;
  std::string_view name_;
  uint64_t alignment_ = kUsualAlignment;
  std::set<std::string> names_;
  std::vector<TensorInfo> infos_;
  GgufFile out_;
};

}  // namespace

std::string_view ggufTypeName(GgufType type) {
  return kTypes[static_cast<size_t>(type)].name;
}

Result<GgufFile> parseGguf(ByteSpan bytes, std::string_view name) {
  return Parser(bytes, name).parse();
}

}  // namespace spolia::engine
