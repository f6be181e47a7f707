// A model ready to run: configuration, weights, tokenizer and identity of a Hugging Face directory,
// or of what else has the same parts.
// Owned by the program; never changes after loading, const calls from any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "codec/kv_layout.h"
#include "engine/model/machine_memory.h"
#include "engine/model/model_config.h"
#include "engine/model/tokenizer.h"
#include "engine/model/weight_digests.h"
#include "engine/model/weights.h"

namespace spolia::engine {

struct ModelLoadOptions {
  // Where digests of weight files are kept between runs: a file of weight_digests.h; none: they are
  // computed each time.
  std::optional<std::filesystem::path> digestCache = defaultDigestCache();
  // Bytes that weights in memory may take; more is kResourceExhausted.
  uint64_t memoryLimit = machineMemory();
  WeightNumerics numerics = WeightNumerics::kF32;
};

// The parts of a model as its files hold them.
struct ModelFiles {
  ModelConfig config;
  std::string configPlace;  // where it stands, for errors
  Tokenizer tokenizer;
  std::string tokenizerFile;     // names it in errors
  Sha256Digest tokenizerDigest;  // of everything that decides about ids
  std::string chatTemplate;      // Jinja; empty: none
  std::unique_ptr<WeightSource> weights;
};

class Model {
 public:
  // Loads config.json, generation_config.json (optional), tokenizer.json or, where there is none,
  // tokenizer.model, and the weights. Errors name file and field; see loadModelConfig, openWeights,
  // Weights::load and Tokenizer::load. kInvalidArgument too when the tokenizer has ids the
  // embedding lacks.
  static Result<std::unique_ptr<Model>> load(const std::filesystem::path& directory,
                                             const ModelLoadOptions& options = {});
  // The same of what other files hold. Errors of Weights::load; kInvalidArgument too when the
  // tokenizer has ids the embedding lacks.
  static Result<std::unique_ptr<Model>> load(ModelFiles files,
                                             const ModelLoadOptions& options = {});

  // A model made in memory, for tests and benchmarks; the tensors are those of the configuration.
  // It has no tokenizer unless one is given.
  static std::unique_ptr<Model> make(ModelConfig config, const TensorTable& tensors,
                                     std::optional<Tokenizer> tokenizer = std::nullopt,
                                     WeightNumerics numerics = WeightNumerics::kF32);

  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  bool hasTokenizer() const { return tokenizer_.has_value(); }
  // Only when hasTokenizer(), which holds for every loaded model.
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // How messages become a prompt, as the model's files say in Jinja; empty where they do not.
  const std::string& chatTemplate() const { return chatTemplate_; }
  // What the fingerprint is made of. The weight digest covers name, type, shape and bytes of each
  // tensor used, in order of names: the same for one file and for shards.
  const codec::ModelDescriptor& descriptor() const { return descriptor_; }
  ModelFingerprint fingerprint() const { return fingerprint_; }
  // KV shape of each layer.
  std::vector<codec::LayerShape> kvShape() const;

 private:
  Model(ModelConfig config, Weights weights, std::optional<Tokenizer> tokenizer,
        codec::ModelDescriptor descriptor);

  ModelConfig config_;
  Weights weights_;
  std::optional<Tokenizer> tokenizer_;
  std::string chatTemplate_;
  codec::ModelDescriptor descriptor_;
  ModelFingerprint fingerprint_;
};

}  // namespace spolia::engine
