// Makes GGUF files, whole or broken: values and tensors in the order they were added.
#pragma once

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "engine/gguf/gguf_file.h"

namespace spolia::engine::test {

class GgufWriter {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;
  // Instead of the true numbers, where not 0.
  uint64_t tensorCount = 0;
  uint64_t valueCount = 0;

  GgufWriter& add(std::string_view key, uint32_t value) {
    begin(key, GgufType::kU32).u32(value);
    return *this;
  }
  GgufWriter& add(std::string_view key, float value) {
    begin(key, GgufType::kF32).write(value);
    return *this;
  }
  GgufWriter& add(std::string_view key, bool value) {
    begin(key, GgufType::kBool).u8(value ? 1 : 0);
    return *this;
  }
  GgufWriter& add(std::string_view key, const char* value) {
    string(begin(key, GgufType::kString), value);
    return *this;
  }
  GgufWriter& add(std::string_view key, const std::vector<std::string>& values) {
    ByteWriter& out = beginArray(key, GgufType::kString, values.size());
    for (const std::string& value : values) string(out, value);
    return *this;
  }
  GgufWriter& add(std::string_view key, const std::vector<int32_t>& values) {
    beginArray(key, GgufType::kI32, values.size()).bytes(std::as_bytes(std::span(values)));
    return *this;
  }
  GgufWriter& add(std::string_view key, const std::vector<float>& values) {
    beginArray(key, GgufType::kF32, values.size()).bytes(std::as_bytes(std::span(values)));
    return *this;
  }
  // A value of any type number, from its bytes.
  GgufWriter& addRaw(std::string_view key, uint32_t type, ByteSpan bytes) {
    begin(key, static_cast<GgufType>(type)).bytes(bytes);
    return *this;
  }
  // Takes an earlier value of this key away.
  GgufWriter& remove(std::string_view key) {
    std::erase_if(values_, [&](const auto& value) { return value.first == key; });
    return *this;
  }
  template <typename T>
  GgufWriter& set(std::string_view key, const T& value) {
    return remove(key).add(key, value);
  }

  // Dimensions from the fastest; where the data lie follows from those before, or is `offset`.
  GgufWriter& tensor(std::string_view name, uint32_t type, std::vector<uint64_t> dimensions,
                     ByteSpan bytes, int64_t offset = -1) {
    tensors_.push_back({std::string(name), type, std::move(dimensions), toBytes(bytes), offset});
    return *this;
  }
  GgufWriter& removeTensor(std::string_view name) {
    std::erase_if(tensors_, [&](const Tensor& tensor) { return tensor.name == name; });
    return *this;
  }

  Bytes make() const {
    ByteWriter out;
    out.bytes(asBytes("GGUF"));
    out.u32(version);
    out.u64(tensorCount > 0 ? tensorCount : tensors_.size());
    out.u64(valueCount > 0 ? valueCount : values_.size());
    for (const auto& [key, value] : values_) out.bytes(value.view());
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      string(out, tensor.name);
      out.u32(static_cast<uint32_t>(tensor.dimensions.size()));
      for (const uint64_t extent : tensor.dimensions) out.u64(extent);
      out.u32(tensor.type);
      out.u64(tensor.offset >= 0 ? static_cast<uint64_t>(tensor.offset) : offset);
      offset += padded(tensor.bytes.size());
    }
    out.zeros(padded(out.size()) - out.size());
    for (const Tensor& tensor : tensors_) {
      out.bytes(tensor.bytes);
      out.zeros(padded(tensor.bytes.size()) - tensor.bytes.size());
    }
    return out.take();
  }

  void write(const std::filesystem::path& path) const {
    const Bytes bytes = make();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

 private:
  struct Tensor {
    std::string name;
    uint32_t type = 0;
    std::vector<uint64_t> dimensions;
    Bytes bytes;
    int64_t offset = -1;
  };

  static void string(ByteWriter& out, std::string_view text) {
    out.u64(text.size());
    out.bytes(asBytes(text));
  }

  ByteWriter& begin(std::string_view key, GgufType type) {
    ByteWriter& out = values_.emplace_back(key, ByteWriter()).second;
    string(out, key);
    out.u32(static_cast<uint32_t>(type));
    return out;
  }

  ByteWriter& beginArray(std::string_view key, GgufType type, uint64_t count) {
    ByteWriter& out = begin(key, GgufType::kArray);
    out.u32(static_cast<uint32_t>(type));
    out.u64(count);
    return out;
  }

  uint64_t padded(uint64_t size) const { return (size + alignment - 1) / alignment * alignment; }

  std::vector<std::pair<std::string, ByteWriter>> values_;
  std::vector<Tensor> tensors_;
};

}  // namespace spolia::engine::test
