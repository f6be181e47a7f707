// A model by its path, in whichever container it stands.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "codec/base/result.h"
#include "engine/model/model.h"

namespace spolia::engine {

// `path` is a Hugging Face directory (Model::load), or a GGUF file, of a split one the first part.
// Weights in the same types have the same digest in either container; so has the model's whole
// fingerprint but for the tokenizer, whose files differ, and RoPE of kind llama3, which GGUF files
// hold as factors.
//
// Errors name the file and what was expected; kNotFound where there is neither. See openGguf,
// readGgufConfig, readGgufTokenizer and Weights::load.
Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& path,
                                         const ModelLoadOptions& options = {});

// What a model at this path is called: the name of the directory, or of the file without ".gguf".
std::string modelNameOf(const std::filesystem::path& path);

}  // namespace spolia::engine
