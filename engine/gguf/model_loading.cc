#include "engine/gguf/model_loading.h"

#include "engine/gguf/gguf_config.h"
#include "engine/gguf/gguf_fields.h"
#include "engine/gguf/gguf_parts.h"
#include "engine/gguf/gguf_vocabulary.h"
#include "engine/gguf/gguf_weights.h"

namespace spolia::engine {

namespace {

Result<ModelFiles> openFiles(const std::filesystem::path& path) {
  SPOLIA_ASSIGN_OR_RETURN(GgufParts parts, openGguf(path));
  const std::string name = path.string();
  const GgufFields fields(parts.gguf, name);
  SPOLIA_ASSIGN_OR_RETURN(ModelConfig config, readGgufConfig(parts.gguf, name));
  SPOLIA_ASSIGN_OR_RETURN(Tokenizer tokenizer, readGgufTokenizer(fields));
  SPOLIA_ASSIGN_OR_RETURN(std::string chatTemplate, fields.string("tokenizer.chat_template", ""));
  const Sha256Digest digest = ggufTokenizerDigest(fields);
  SPOLIA_ASSIGN_OR_RETURN(auto weights, ggufWeights(std::move(parts), config));
  return ModelFiles{.config = std::move(config),
                    .configPlace = "its keys",
                    .tokenizer = std::move(tokenizer),
                    .tokenizerFile = name,
                    .tokenizerDigest = digest,
                    .chatTemplate = std::move(chatTemplate),
                    .weights = std::move(weights)};
}

}  // namespace

std::string modelNameOf(const std::filesystem::path& path) {
  const std::filesystem::path name = std::filesystem::absolute(path).lexically_normal();
  // With a slash at its end the last part is empty.
  const std::filesystem::path last = name.has_filename() ? name : name.parent_path();
  return last.extension() == ".gguf" ? last.stem() : last.filename();
}

Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& path,
                                         const ModelLoadOptions& options) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return Model::load(path, options);
  if (!std::filesystem::exists(path, error)) {
    return Status(ErrorCode::kNotFound,
                  path.string() +
                      " does not exist, expected a directory with config.json, tokenizer.json and "
                      "model.safetensors, or a GGUF file");
  }
  SPOLIA_ASSIGN_OR_RETURN(ModelFiles files, openFiles(path));
  return Model::load(std::move(files), options);
}

}  // namespace spolia::engine
