// Named tensors in files: the container, not what the tensors mean. Here safetensors, alone or as
// shards with model.safetensors.index.json; engine/gguf has another WeightSource.
// Files are untrusted: any bytes give tensors inside the file or an error.
//
// A source keeps its files mapped read-only; spans live as long as the source. Const calls from any
// thread. A file that is truncated by somebody else while it is mapped raises SIGBUS on access, as
// for any mapped file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "engine/kernels/weight_type.h"

namespace spolia::engine {

// Element types of tensors in files: those that a safetensors file may declare, and blocks of ggml.
enum class TensorType : uint8_t {
  kF32,
  kF16,
  kBf16,
  kF64,
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
  kF8E4m3,
  kF8E5m2,
  kQ8_0,
  kQ4_0,
  kQ4K,
  kQ6K,
};

// The name of safetensors or of ggml: "F32", "BF16", "Q4_K", ...
std::string_view tensorTypeName(TensorType type);
// As what the engine reads it; nothing for a type that it does not read.
std::optional<WeightType> weightTypeOf(TensorType type);

// One tensor as it stands in its file: row-major, little-endian, not necessarily aligned.
struct TensorEntry {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<uint64_t> shape;
  ByteSpan bytes;   // product of the shape times the element size; rows are whole blocks
  size_t file = 0;  // index into WeightSource::files()
  // Not 0: the rows of each of so many heads stand in the order of llama.cpp, which turns
  // neighbouring channels where Hugging Face turns those half a head apart: channel 0, half, 1,
  // half + 1, ... The shape's first extent is a multiple of twice this.
  uint64_t interleavedHeads = 0;

  // Of a shape without extents, one row.
  uint64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  // The bytes of a row of the tensor, in Hugging Face's order, wherever it stands in the file. A
  // vector has rows of one value.
  ByteSpan row(uint64_t index) const;
};

// "[2, 3]".
std::string shapeText(std::span<const uint64_t> shape);

// Which file, and in which state it was when it was opened.
struct FileStamp {
  std::filesystem::path path;
  uint64_t size = 0;       // bytes
  int64_t modifiedNs = 0;  // since 1970
  uint64_t inode = 0;
};

// A file mapped read-only. Owns the mapping; moves.
class MappedFile {
 public:
  // kNotFound or kIoError, naming the path. An empty file is an empty span.
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const FileStamp& stamp() const { return stamp_; }
  ByteSpan bytes() const { return bytes_; }

 private:
  MappedFile(FileStamp stamp, ByteSpan bytes) : stamp_(std::move(stamp)), bytes_(bytes) {}

  FileStamp stamp_;
  ByteSpan bytes_;
};

// The tensors of a model, whatever files hold them.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual std::span<const FileStamp> files() const = 0;
  // Sorted by name, which is unique.
  virtual std::span<const TensorEntry> tensors() const = 0;

  // Null when absent.
  const TensorEntry* find(std::string_view name) const;
  // What errors call the tensor of this name, whether it is there or not: what it has in files.
  virtual std::string nameInFile(std::string_view name) const { return std::string(name); }
};

// The tensors of one safetensors file's bytes, sorted by name; `bytes` is the whole file and `name`
// stands for it in errors. kCorrupt, naming what is wrong, unless header and data fit exactly: a
// header of at most 100 MB that is a JSON object of known element types, every length equal to
// shape times element size, and data without overlap, hole or rest.
Result<std::vector<TensorEntry>> parseSafetensors(ByteSpan bytes, std::string_view name);

// The weights of a Hugging Face directory: model.safetensors.index.json with the shards it names
// where it exists, else model.safetensors. kNotFound names the missing file; kCorrupt as above, and
// when a shard lacks a tensor the index promises or two shards hold one name.
Result<std::unique_ptr<WeightSource>> openWeights(const std::filesystem::path& directory);

}  // namespace spolia::engine
