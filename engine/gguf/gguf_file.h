// GGUF version 3, llama.cpp's container of models: values under keys, and tensors. What they mean
// is for the other files of this folder. Files are untrusted: any bytes give values and tensors
// inside the file, or an error; memory is bounded by the length of the file.
//
// All are views of the bytes of the file. Values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "engine/model/weight_file.h"

namespace spolia::engine {

// Types of values, by their numbers in the file.
enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// "u32", "string", ...
std::string_view ggufTypeName(GgufType type);

struct GgufValue {
  GgufType type = GgufType::kU8;  // of an array, that of its elements; never kArray
  bool array = false;
  uint64_t count = 1;  // elements
  ByteSpan bytes;      // they, end to end; a string has its length of 8 bytes in front
};

// As in the file: dimensions from the fastest to the slowest, the opposite of a TensorEntry.
struct GgufTensor {
  std::string name;  // UTF-8
  TensorType type = TensorType::kF32;
  std::vector<uint64_t> dimensions;  // 1 to 4, none 0
  ByteSpan bytes;
};

struct GgufFile {
  std::map<std::string, GgufValue, std::less<>> values;  // keys are printable ASCII
  std::vector<GgufTensor> tensors;                       // in the order of the file
};

// `bytes` is the whole file and `name` stands for it in errors. kCorrupt names what is wrong and
// what was expected: another magic, counts and lengths beyond the file, a key or name twice, data
// with overlap, hole or rest. kUnsupported for what the engine does not read: another version,
// arrays of arrays, tensors of other types than F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K, which
// are named as ggml names them.
Result<GgufFile> parseGguf(ByteSpan bytes, std::string_view name);

}  // namespace spolia::engine
