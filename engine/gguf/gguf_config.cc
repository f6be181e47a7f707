#include "engine/gguf/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/quant_blocks.h"
#include "engine/model/rope_config.h"

namespace spolia::engine {

namespace {

constexpr const char* kArchitecture = "general.architecture";
constexpr const char* kLlama = "llama";
constexpr const char* kQwen2 = "qwen2";
constexpr const char* kQwen3 = "qwen3";
constexpr const char* kRopeFactors = "rope_freqs.weight";

// Bounds of single values; checkModelConfig has those that hold for every container.
constexpr uint32_t kMaxCount = 1 << 24;
constexpr uint32_t kMaxLayers = 1024;
constexpr double kMaxFactor = 1e6;

const GgufTensor* findTensor(const GgufFile& gguf, std::string_view name) {
  const auto it = std::ranges::find(gguf.tensors, name, &GgufTensor::name);
  return it == gguf.tensors.end() ? nullptr : &*it;
}

// Reads the keys of one architecture: "llama.block_count" is key("block_count").
class ConfigReader {
 public:
  ConfigReader(const GgufFile& gguf, const GgufFields& fields, std::string architecture)
      : gguf_(gguf), fields_(fields), architecture_(std::move(architecture)) {}

  Result<ModelConfig> read() {
    SPOLIA_RETURN_IF_ERROR(checkUnsupported());
    SPOLIA_RETURN_IF_ERROR(readSizes());
    SPOLIA_ASSIGN_OR_RETURN(const double eps,
                            fields_.number(key("attention.layer_norm_rms_epsilon"), 0, 1));
    out_.rmsEps = static_cast<float>(eps);
    readParts();
    SPOLIA_RETURN_IF_ERROR(readWindow());
    SPOLIA_RETURN_IF_ERROR(readRope());
    SPOLIA_RETURN_IF_ERROR(readTokens());
    const Status sound = checkModelConfig(out_);
    return sound.ok() ? Result<ModelConfig>(std::move(out_)) : asKeys(sound);
  }

 private:
  std::string key(const char* name) const { return architecture_ + "." + name; }

  // checkModelConfig() has the names of config.json.
  Status asKeys(const Status& status) const {
    constexpr std::pair<std::string_view, const char*> kNames[] = {
        {"hidden_size", "embedding_length"},
        {"num_hidden_layers", "block_count"},
        {"num_attention_heads", "attention.head_count"},
        {"num_key_value_heads", "attention.head_count_kv"},
        {"head_dim", "attention.key_length"},
        {"intermediate_size", "feed_forward_length"},
        {"vocab_size", "vocab_size"},
        {"max_position_embeddings", "context_length"},
        {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
        {"rope_theta", "rope.freq_base"},
        {"rope_scaling", "rope.scaling"}};
    std::string message = status.message();
    for (const auto& [field, name] : kNames) {
      for (size_t at = 0; (at = message.find(field, at)) != std::string::npos;) {
        const std::string full = key(name);
        message.replace(at, field.size(), full);
        at += full.size();
      }
    }
    return Status(status.code(), std::string(fields_.file()) + ": " + message);
  }

  Status checkUnsupported() const {
    for (const char* name : {"expert_count", "attention.sliding_window_pattern"}) {
      const GgufValue* value = fields_.find(key(name));
      if (!value) continue;
      auto count = fields_.integer(key(name), 0, 0);
      if (!count.ok()) return fields_.wrong(key(name), "none or 0", ErrorCode::kUnsupported);
    }
    SPOLIA_ASSIGN_OR_RETURN(const std::string layout,
                            fields_.string(key("tensor_data_layout"), "reference"));
    // Both are names of what files of llama always have.
    if (layout == "reference" || layout == "Meta AI original pth") return Status();
    return fields_.wrong(key("tensor_data_layout"), "\"reference\"", ErrorCode::kUnsupported);
  }

  Status readSizes() {
    const auto size = [&](const char* name, std::optional<uint32_t> fallback = std::nullopt) {
      return fields_.integer(key(name), 1, kMaxCount, fallback);
    };
    SPOLIA_ASSIGN_OR_RETURN(out_.hiddenSize, size("embedding_length"));
    SPOLIA_ASSIGN_OR_RETURN(out_.layers, fields_.integer(key("block_count"), 1, kMaxLayers));
    SPOLIA_ASSIGN_OR_RETURN(out_.heads, size("attention.head_count"));
    SPOLIA_ASSIGN_OR_RETURN(out_.kvHeads, size("attention.head_count_kv", out_.heads));
    SPOLIA_ASSIGN_OR_RETURN(out_.ffnSize, size("feed_forward_length"));
    SPOLIA_ASSIGN_OR_RETURN(out_.maxPositions, size("context_length"));
    SPOLIA_ASSIGN_OR_RETURN(out_.vocabSize, size("vocab_size", vocabularySize()));
    const std::string length = key("attention.key_length");
    if (!fields_.find(length) && out_.hiddenSize % out_.heads != 0) {
      return fields_.wrong(length, "a number, as " + key("embedding_length") + " " +
                                       std::to_string(out_.hiddenSize) + " is no multiple of " +
                                       key("attention.head_count") + " " +
                                       std::to_string(out_.heads));
    }
    SPOLIA_ASSIGN_OR_RETURN(
        out_.headDim, size("attention.key_length", std::max(1u, out_.hiddenSize / out_.heads)));
    for (const char* same : {"attention.value_length", "rope.dimension_count"}) {
      SPOLIA_ASSIGN_OR_RETURN(const uint32_t found, size(same, out_.headDim));
      if (found == out_.headDim) continue;
      return fields_.wrong(key(same),
                           std::to_string(out_.headDim) + ", the length of a head, " + length,
                           ErrorCode::kUnsupported);
    }
    return Status();
  }

  // Where no key says it, there are as many rows as tokens.
  std::optional<uint32_t> vocabularySize() const {
    const GgufValue* tokens = fields_.find("tokenizer.ggml.tokens");
    if (!tokens || !tokens->array || tokens->count > kMaxCount) return std::nullopt;
    return static_cast<uint32_t>(tokens->count);
  }

  void readParts() {
    out_.tiedHead = !findTensor(gguf_, "output.weight");
    out_.qkvBias = architecture_ == kQwen2 || findTensor(gguf_, "blk.0.attn_q.bias");
    out_.outputBias = findTensor(gguf_, "blk.0.attn_output.bias") != nullptr;
    out_.qkNorm = architecture_ == kQwen3;
  }

  Status readWindow() {
    const std::string name = key("attention.sliding_window");
    SPOLIA_ASSIGN_OR_RETURN(const uint32_t window, fields_.integer(name, 0, kMaxCount, 0));
    if (window == 1) return fields_.wrong(name, "0 or at least 2");
    if (window > 0) out_.windows.assign(out_.layers, window);
    return Status();
  }

  Status readRope() {
    SPOLIA_ASSIGN_OR_RETURN(const double theta,
                            fields_.number(key("rope.freq_base"), 1, 1e12, 10000.0));
    out_.ropeTheta = static_cast<float>(theta);
    SPOLIA_ASSIGN_OR_RETURN(const std::string type,
                            fields_.string(key("rope.scaling.type"), "none"));
    RopeScaling& scaling = out_.ropeScaling;
    if (type == "linear") {
      SPOLIA_ASSIGN_OR_RETURN(scaling.factor, factor());
      if (scaling.factor != 1) scaling.kind = RopeKind::kLinear;
    } else if (type == "yarn") {
      SPOLIA_RETURN_IF_ERROR(readYarn());
    } else if (type != "none") {
      return fields_.wrong(key("rope.scaling.type"), "\"none\", \"linear\" or \"yarn\"",
                           ErrorCode::kUnsupported);
    } else if (fields_.find(key("rope.scale_linear"))) {
      SPOLIA_ASSIGN_OR_RETURN(scaling.factor,
                              fields_.number(key("rope.scale_linear"), 1, kMaxFactor));
      if (scaling.factor != 1) scaling.kind = RopeKind::kLinear;
    }
    return readFactors();
  }

  Result<double> factor() const {
    return fields_.number(key("rope.scaling.factor"), 1, kMaxFactor);
  }

  // llama.cpp and Hugging Face agree where nothing else is said; what these keys could say besides
  // has no name in config.json.
  Status readYarn() {
    RopeScaling& scaling = out_.ropeScaling;
    scaling.kind = RopeKind::kYarn;
    SPOLIA_ASSIGN_OR_RETURN(scaling.factor, factor());
    SPOLIA_ASSIGN_OR_RETURN(scaling.originalPositions,
                            fields_.integer(key("rope.scaling.original_context_length"), 1,
                                            kMaxCount, out_.maxPositions));
    const auto usual = [&](const char* name, double low, double fallback) {
      return fields_.number(key(name), low, kMaxFactor, fallback);
    };
    SPOLIA_ASSIGN_OR_RETURN(scaling.betaFast, usual("rope.scaling.yarn_beta_fast", 1e-6, 32));
    SPOLIA_ASSIGN_OR_RETURN(scaling.betaSlow, usual("rope.scaling.yarn_beta_slow", 1e-6, 1));
    scaling.truncate = true;
    SPOLIA_ASSIGN_OR_RETURN(const double times, usual("rope.scaling.attn_factor", 1e-6, 1));
    SPOLIA_ASSIGN_OR_RETURN(const double yarnTimes,
                            usual("rope.scaling.yarn_attn_factor", 1e-6, 1));
    SPOLIA_ASSIGN_OR_RETURN(const double blended, usual("rope.scaling.yarn_ext_factor", -1, 1));
    if (blended != 1 && blended != -1) {
      return fields_.wrong(key("rope.scaling.yarn_ext_factor"), "1", ErrorCode::kUnsupported);
    }
    scaling.attentionFactor = times * yarnTimes * (0.1 * std::log(scaling.factor) + 1.0);
    const double reach = scaling.factor * scaling.originalPositions;
    out_.maxPositions =
        std::max(out_.maxPositions, static_cast<uint32_t>(std::min<double>(reach, kMaxCount)));
    return Status();
  }

  // One divisor for each pair of channels: what becomes of "llama3".
  Status readFactors() {
    const GgufTensor* tensor = findTensor(gguf_, kRopeFactors);
    if (!tensor) return Status();
    const auto wrong = [&](const std::string& found, const std::string& expected) {
      return Status(ErrorCode::kInvalidArgument, std::string(fields_.file()) + ": tensor \"" +
                                                     kRopeFactors + "\" is " + found +
                                                     ", expected " + expected);
    };
    const uint64_t pairs = out_.headDim / 2;
    if (tensor->type != TensorType::kF32 || tensor->dimensions != std::vector<uint64_t>{pairs}) {
      return wrong(std::string(tensorTypeName(tensor->type)) + " " + shapeText(tensor->dimensions),
                   "F32 " + shapeText(std::vector<uint64_t>{pairs}));
    }
    if (out_.ropeScaling.kind != RopeKind::kDefault) {
      return wrong("there", "none beside " + key("rope.scaling.type"));
    }
    std::vector<float> factors(pairs);
    std::memcpy(factors.data(), tensor->bytes.data(), tensor->bytes.size());
    if (!std::ranges::all_of(factors, [](float f) { return f > 0 && std::isfinite(f); })) {
      return wrong("of other values", "positive numbers");
    }
    if (std::ranges::all_of(factors, [](float f) { return f == 1; })) return Status();
    out_.ropeScaling.kind = RopeKind::kFactors;
    out_.ropeScaling.factors = std::move(factors);
    return Status();
  }

  // A vocabulary of SentencePiece has 1 and 2 where no key says it.
  Status readTokens() {
    SPOLIA_ASSIGN_OR_RETURN(const std::string model, fields_.string("tokenizer.ggml.model"));
    const bool named = model != "llama";
    const auto token = [&](const char* name, std::optional<uint32_t> fallback) {
      return fields_.integer(std::string("tokenizer.ggml.") + name, 0, out_.vocabSize - 1,
                             fallback);
    };
    SPOLIA_ASSIGN_OR_RETURN(out_.bosToken,
                            token("bos_token_id", named ? std::nullopt : std::optional(1u)));
    SPOLIA_ASSIGN_OR_RETURN(const uint32_t eos,
                            token("eos_token_id", named ? std::nullopt : std::optional(2u)));
    out_.eosTokens = {eos};
    for (const char* name : {"eot_token_id", "eom_token_id"}) {
      if (!fields_.find(std::string("tokenizer.ggml.") + name)) continue;
      SPOLIA_ASSIGN_OR_RETURN(const uint32_t other, token(name, std::nullopt));
      if (std::ranges::find(out_.eosTokens, other) == out_.eosTokens.end()) {
        out_.eosTokens.push_back(other);
      }
    }
    return Status();
  }

  const GgufFile& gguf_;
  const GgufFields& fields_;
  const std::string architecture_;
  ModelConfig out_;
};

}  // namespace

Result<ModelConfig> readGgufConfig(const GgufFile& gguf, std::string_view file) {
  const GgufFields fields(gguf, file);
  SPOLIA_ASSIGN_OR_RETURN(const std::string architecture, fields.string(kArchitecture));
  if (architecture != kLlama && architecture != kQwen2 && architecture != kQwen3) {
    return fields.wrong(kArchitecture, "\"llama\", \"qwen2\" or \"qwen3\"",
                        ErrorCode::kUnsupported);
  }
  return ConfigReader(gguf, fields, architecture).read();
}

bool interleavesHeads(const GgufFile& gguf) {
  const auto architecture = GgufFields(gguf, "").string(kArchitecture);
  return architecture.ok() && *architecture == kLlama;
}

}  // namespace spolia::engine
