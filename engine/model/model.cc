#include "engine/model/model.h"

#include "codec/base/bytes.h"
#include "engine/model/json_file.h"
#include "engine/model/rope_config.h"

namespace spolia::engine {

namespace {

codec::ModelDescriptor describe(const ModelConfig& config, const Sha256Digest& weights,
                                const Sha256Digest& tokenizer, WeightNumerics numerics) {
  codec::ModelDescriptor out;
  out.weights = weights;
  out.config = {sha256(asBytes(canonicalConfig(config)))};
  out.tokenizer = tokenizer;
  out.rope = {sha256(asBytes(canonicalRope(config)))};
  out.numerics = weightNumericsName(numerics);
  return out;
}

// tokenizer.json where there is one: it has what a tokenizer.model leaves to other files.
std::filesystem::path tokenizerPathIn(const std::filesystem::path& directory) {
  const std::filesystem::path published = directory / "tokenizer.json";
  const std::filesystem::path sentencePiece = directory / "tokenizer.model";
  std::error_code error;
  const bool other =
      !std::filesystem::exists(published, error) && std::filesystem::exists(sentencePiece, error);
  return other ? sentencePiece : published;
}

// Ids the embedding has no row for must not come out of the tokenizer.
Status checkVocabulary(const ModelFiles& files) {
  const uint32_t rows = files.config.vocabSize;
  if (files.tokenizer.vocabSize() <= rows) return Status();
  return Status(ErrorCode::kInvalidArgument, files.tokenizerFile + ": the largest id is " +
                                                 std::to_string(files.tokenizer.vocabSize() - 1) +
                                                 ", expected one below vocab_size " +
                                                 std::to_string(rows) + " of " + files.configPlace);
}

}  // namespace

Model::Model(ModelConfig config, Weights weights, std::optional<Tokenizer> tokenizer,
             codec::ModelDescriptor descriptor)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      tokenizer_(std::move(tokenizer)),
      descriptor_(std::move(descriptor)),
      fingerprint_(codec::fingerprintOf(descriptor_)) {}

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& directory,
                                           const ModelLoadOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    return Status(ErrorCode::kNotFound,
                  directory.string() +
                      " is no directory, expected one with config.json, tokenizer.json and "
                      "model.safetensors");
  }
  SPOLIA_ASSIGN_OR_RETURN(ModelConfig config, loadModelConfig(directory));
  const std::filesystem::path tokenizerPath = tokenizerPathIn(directory);
  SPOLIA_ASSIGN_OR_RETURN(const std::string tokenizerFile,
                          readTextFile(tokenizerPath, Tokenizer::kMaxFileBytes));
  SPOLIA_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::parseFile(tokenizerFile, tokenizerPath));
  SPOLIA_ASSIGN_OR_RETURN(std::unique_ptr<WeightSource> source, openWeights(directory));
  return load({.config = std::move(config),
               .configPlace = "config.json",
               .tokenizer = std::move(tokenizer),
               .tokenizerFile = tokenizerPath.string(),
               .tokenizerDigest = {sha256(asBytes(tokenizerFile))},
               .chatTemplate = {},
               .weights = std::move(source)},
              options);
}

Result<std::unique_ptr<Model>> Model::load(ModelFiles files, const ModelLoadOptions& options) {
  SPOLIA_RETURN_IF_ERROR(checkVocabulary(files));
  SPOLIA_ASSIGN_OR_RETURN(Weights weights, Weights::load(files.config, *files.weights,
                                                         options.memoryLimit, options.numerics));
  const Sha256Digest digest = weightsDigest(files.config, *files.weights, options.digestCache);
  codec::ModelDescriptor descriptor =
      describe(files.config, digest, files.tokenizerDigest, options.numerics);
  std::unique_ptr<Model> out(new Model(std::move(files.config), std::move(weights),
                                       std::move(files.tokenizer), std::move(descriptor)));
  out->chatTemplate_ = std::move(files.chatTemplate);
  return out;
}

std::unique_ptr<Model> Model::make(ModelConfig config, const TensorTable& tensors,
                                   std::optional<Tokenizer> tokenizer, WeightNumerics numerics) {
  codec::ModelDescriptor descriptor =
      describe(config, weightsDigest(config, tensors), {}, numerics);
  Weights weights = Weights::pack(config, tensors, numerics);
  return std::unique_ptr<Model>(new Model(std::move(config), std::move(weights),
                                          std::move(tokenizer), std::move(descriptor)));
}

std::vector<codec::LayerShape> Model::kvShape() const {
  return std::vector<codec::LayerShape>(config_.layers, {config_.kvHeads, config_.headDim});
}

}  // namespace spolia::engine
