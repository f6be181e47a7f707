#include "engine/model/model_config.h"

#include <cmath>
#include <optional>
#include <span>

#include "engine/model/json_file.h"
#include "engine/model/model_family.h"
#include "engine/model/rope_config.h"
#include "engine/text/exact_text.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;

// Far above any model there is, and low enough that products of two fit 64 bits with room.
constexpr uint32_t kMaxHidden = 1 << 17;
constexpr uint32_t kMaxFfn = 1 << 20;
constexpr uint32_t kMaxLayers = 1024;
constexpr uint32_t kMaxHeads = 1024;
constexpr uint32_t kMaxHeadDim = 1024;
constexpr uint32_t kMaxVocab = 1 << 21;
constexpr uint32_t kMaxPositions = 1 << 24;

// What would change the forward pass and this engine does not do.
Status checkUnsupported(const JsonFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const bool biased, fields.boolean("mlp_bias", false));
  if (biased) return fields.wrong("mlp_bias", "false", ErrorCode::kUnsupported);
  SPOLIA_ASSIGN_OR_RETURN(const std::string act, fields.string("hidden_act", "silu"));
  if (act != "silu") return fields.wrong("hidden_act", "\"silu\"", ErrorCode::kUnsupported);
  if (fields.find("quantization_config")) {
    return fields.wrong("quantization_config", "none: weights in F32, F16 or BF16",
                        ErrorCode::kUnsupported);
  }
  SPOLIA_ASSIGN_OR_RETURN(const double rotary, fields.number("partial_rotary_factor", 0, 1, 1.0));
  if (rotary != 1.0) return fields.wrong("partial_rotary_factor", "1", ErrorCode::kUnsupported);
  return Status();
}

// An id or a list of ids; `fallback` when absent.
Result<std::vector<uint32_t>> tokenList(const JsonFields& fields, const char* field,
                                        std::vector<uint32_t> fallback) {
  const json* value = fields.find(field);
  if (!value) return fallback;
  std::vector<uint32_t> ids;
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& id : list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxVocab) {
      return fields.wrong(field, "a token id or a list of token ids");
    }
    ids.push_back(id.get<uint32_t>());
  }
  return ids;
}

Status readSizes(const JsonFields& fields, const ModelFamily& family, ModelConfig& out) {
  SPOLIA_ASSIGN_OR_RETURN(out.hiddenSize, fields.integer("hidden_size", 1, kMaxHidden));
  SPOLIA_ASSIGN_OR_RETURN(out.layers, fields.integer("num_hidden_layers", 1, kMaxLayers));
  SPOLIA_ASSIGN_OR_RETURN(out.heads, fields.integer("num_attention_heads", 1, kMaxHeads));
  const bool asHeads = family.kvHeads == 0 || fields.has("num_key_value_heads");
  SPOLIA_ASSIGN_OR_RETURN(out.kvHeads, fields.integer("num_key_value_heads", 1, kMaxHeads,
                                                      asHeads ? out.heads : family.kvHeads));
  SPOLIA_ASSIGN_OR_RETURN(out.ffnSize, fields.integer("intermediate_size", 1, kMaxFfn));
  SPOLIA_ASSIGN_OR_RETURN(out.vocabSize, fields.integer("vocab_size", 1, kMaxVocab));
  SPOLIA_ASSIGN_OR_RETURN(out.maxPositions, fields.integer("max_position_embeddings", 1,
                                                           kMaxPositions, family.maxPositions));
  const bool ownDim = family.headDim > 0 || fields.find("head_dim");
  if (!ownDim && out.hiddenSize % out.heads != 0) {
    return fields.wrong(
        "num_attention_heads",
        "a divisor of hidden_size " + std::to_string(out.hiddenSize) + ", as there is no head_dim");
  }
  const uint32_t usual = family.headDim > 0 ? family.headDim : out.hiddenSize / out.heads;
  SPOLIA_ASSIGN_OR_RETURN(out.headDim, fields.integer("head_dim", 2, kMaxHeadDim, usual));
  return Status();
}

Status readTokens(const JsonFields& fields, const ModelFamily& family, std::string_view generation,
                  ModelConfig& out) {
  const std::optional<uint32_t> bos = family.bosAndEos ? std::optional(1u) : std::nullopt;
  std::vector<uint32_t> eos;
  if (family.bosAndEos) eos = {2};
  SPOLIA_ASSIGN_OR_RETURN(out.bosToken, fields.integer("bos_token_id", 0, kMaxVocab, bos));
  SPOLIA_ASSIGN_OR_RETURN(out.eosTokens, tokenList(fields, "eos_token_id", std::move(eos)));
  if (generation.empty()) return Status();
  constexpr std::string_view kName = "generation_config.json";
  SPOLIA_ASSIGN_OR_RETURN(const json document, parseJson(generation, kName));
  if (!document.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(kName) + " is " + describeJson(document) + ", expected an object");
  }
  SPOLIA_ASSIGN_OR_RETURN(out.eosTokens,
                          tokenList(JsonFields(document, kName), "eos_token_id", out.eosTokens));
  return Status();
}

Status outOfRange(std::string_view field, uint64_t found, const std::string& expected) {
  return Status(ErrorCode::kInvalidArgument,
                std::string(field) + " is " + std::to_string(found) + ", expected " + expected);
}

std::string joined(std::span<const uint32_t> numbers) {
  std::string out;
  for (const uint32_t number : numbers) {
    if (!out.empty()) out += ',';
    out += std::to_string(number);
  }
  return out;
}

}  // namespace

float ModelConfig::attentionScale() const {
  const auto factor = static_cast<float>(ropeScaling.attentionFactor);
  return factor * factor / std::sqrt(static_cast<float>(headDim));
}

Status checkModelConfig(const ModelConfig& config) {
  const std::pair<const char*, std::pair<uint32_t, uint32_t>> sizes[] = {
      {"hidden_size", {config.hiddenSize, kMaxHidden}},
      {"num_hidden_layers", {config.layers, kMaxLayers}},
      {"num_attention_heads", {config.heads, kMaxHeads}},
      {"num_key_value_heads", {config.kvHeads, kMaxHeads}},
      {"head_dim", {config.headDim, kMaxHeadDim}},
      {"intermediate_size", {config.ffnSize, kMaxFfn}},
      {"vocab_size", {config.vocabSize, kMaxVocab}},
      {"max_position_embeddings", {config.maxPositions, kMaxPositions}}};
  for (const auto& [field, size] : sizes) {
    if (size.first == 0 || size.first > size.second) {
      return outOfRange(field, size.first, "1 to " + std::to_string(size.second));
    }
  }
  if (config.heads % config.kvHeads != 0) {
    return outOfRange("num_key_value_heads", config.kvHeads,
                      "a divisor of num_attention_heads " + std::to_string(config.heads));
  }
  if (config.headDim % 2 != 0) {
    return outOfRange("head_dim", config.headDim, "an even number: RoPE turns pairs");
  }
  const std::string belowVocab = "an id below vocab_size " + std::to_string(config.vocabSize);
  if (config.bosToken >= config.vocabSize) {
    return outOfRange("bos_token_id", config.bosToken, belowVocab);
  }
  for (const uint32_t eos : config.eosTokens) {
    if (eos >= config.vocabSize) return outOfRange("eos_token_id", eos, belowVocab);
  }
  if (!(config.rmsEps >= 0) || !std::isfinite(config.rmsEps)) {
    return Status(ErrorCode::kInvalidArgument, "rms_norm_eps, expected a number from 0 to 1");
  }
  if (!config.windows.empty() && config.windows.size() != config.layers) {
    return outOfRange("layer_types", config.windows.size(),
                      "one for each of num_hidden_layers " + std::to_string(config.layers));
  }
  return checkRope(config);
}

Result<ModelConfig> parseModelConfig(std::string_view config, std::string_view generation,
                                     std::string_view name) {
  SPOLIA_ASSIGN_OR_RETURN(const json document, parseJson(config, name));
  if (!document.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(name) + " is " + describeJson(document) + ", expected an object");
  }
  const JsonFields fields(document, name);
  SPOLIA_ASSIGN_OR_RETURN(const ModelFamily* family, familyOf(fields, name));
  SPOLIA_RETURN_IF_ERROR(checkUnsupported(fields));
  ModelConfig out;
  SPOLIA_RETURN_IF_ERROR(readSizes(fields, *family, out));
  SPOLIA_ASSIGN_OR_RETURN(const double eps, fields.number("rms_norm_eps", 0, 1, 1e-6));
  out.rmsEps = static_cast<float>(eps);
  SPOLIA_RETURN_IF_ERROR(readFeatures(fields, *family, out));
  SPOLIA_RETURN_IF_ERROR(readRope(fields, name, out));
  SPOLIA_ASSIGN_OR_RETURN(out.tiedHead, fields.boolean("tie_word_embeddings", false));
  SPOLIA_RETURN_IF_ERROR(readTokens(fields, *family, generation, out));
  SPOLIA_RETURN_IF_ERROR(checkModelConfig(out).withContext(name));
  return out;
}

Result<ModelConfig> loadModelConfig(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  SPOLIA_ASSIGN_OR_RETURN(const std::string config, readTextFile(path, kMaxConfigBytes));
  std::string generation;
  const std::filesystem::path generationPath = directory / "generation_config.json";
  if (std::filesystem::exists(generationPath)) {
    SPOLIA_ASSIGN_OR_RETURN(generation, readTextFile(generationPath, kMaxConfigBytes));
  }
  return parseModelConfig(config, generation, path.string());
}

std::string canonicalConfig(const ModelConfig& config) {
  // What is plain Llama has the text of before there was anything else.
  std::string out = "architecture=LlamaForCausalLM\n";
  auto line = [&out](std::string_view field, const std::string& value) {
    out.append(field).append("=").append(value).append("\n");
  };
  line("hidden_size", std::to_string(config.hiddenSize));
  line("layers", std::to_string(config.layers));
  line("heads", std::to_string(config.heads));
  line("kv_heads", std::to_string(config.kvHeads));
  line("head_dim", std::to_string(config.headDim));
  line("ffn_size", std::to_string(config.ffnSize));
  line("vocab_size", std::to_string(config.vocabSize));
  line("rms_eps", exactText(config.rmsEps));
  line("tied_head", config.tiedHead ? "true" : "false");
  line("bos_token", std::to_string(config.bosToken));
  if (config.qkvBias) line("qkv_bias", "true");
  if (config.outputBias) line("output_bias", "true");
  if (config.qkNorm) line("qk_norm", "true");
  if (!config.windows.empty()) line("windows", joined(config.windows));
  return out;
}

}  // namespace spolia::engine
