// The files of one GGUF model, mapped: one, or the parts of a split one, which gguf-split names
// NAME-00001-of-0000N.gguf. Owns the mappings; moves, and views stay valid.
#pragma once

#include <filesystem>
#include <vector>

#include "codec/base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/weight_file.h"

namespace spolia::engine {

struct GgufParts {
  std::vector<MappedFile> maps;
  GgufFile gguf;               // the values of the first file, the tensors of all
  std::vector<size_t> fileOf;  // of each tensor, parallel to gguf.tensors: index into maps
};

// kNotFound or kIoError for a file, kCorrupt and kUnsupported as parseGguf; kCorrupt too when parts
// do not belong together, kInvalidArgument for a part that is not the first one, which is named.
Result<GgufParts> openGguf(const std::filesystem::path& path);

}  // namespace spolia::engine
