#include "engine/model/model_family.h"

#include <algorithm>
#include <string>
#include <vector>

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr ModelFamily kFamilies[] = {
    {.architecture = "LlamaForCausalLM",
     .modelType = "llama",
     .kvHeads = 0,
     .headDim = 0,
     .maxPositions = 2048,
     .qkvBias = false,
     .biasField = true,
     .qkNorm = false,
     .bosAndEos = true,
     .windows = WindowFields::kNone},
    {.architecture = "MistralForCausalLM",
     .modelType = "mistral",
     .kvHeads = 8,
     .headDim = 0,
     .maxPositions = 131072,
     .qkvBias = false,
     .biasField = false,
     .qkNorm = false,
     .bosAndEos = true,
     .windows = WindowFields::kEveryLayer},
    {.architecture = "Qwen2ForCausalLM",
     .modelType = "qwen2",
     .kvHeads = 32,
     .headDim = 0,
     .maxPositions = 32768,
     .qkvBias = true,
     .biasField = false,
     .qkNorm = false,
     .bosAndEos = false,
     .windows = WindowFields::kSomeLayers},
    {.architecture = "Qwen3ForCausalLM",
     .modelType = "qwen3",
     .kvHeads = 32,
     .headDim = 128,
     .maxPositions = 32768,
     .qkvBias = false,
     .biasField = true,
     .qkNorm = true,
     .bosAndEos = false,
     .windows = WindowFields::kSomeLayers},
};

constexpr uint32_t kDefaultWindow = 4096;
constexpr uint32_t kDefaultFullLayers = 28;  // max_window_layers

// "A, B or C".
std::string oneOf(const char* ModelFamily::*name) {
  std::string out;
  for (size_t i = 0; i < std::size(kFamilies); ++i) {
    if (i > 0) out += i + 1 < std::size(kFamilies) ? ", " : " or ";
    out += kFamilies[i].*name;
  }
  return out;
}

// 0 where the file says there is none. A row that did not even see the one before it would be no
// use of attention.
Result<uint32_t> windowSize(const JsonFields& fields) {
  constexpr const char* kField = "sliding_window";
  if (!fields.find(kField)) return fields.has(kField) ? 0 : kDefaultWindow;
  return fields.integer(kField, 2, 1u << 24);
}

// Whether each layer slides.
Result<std::vector<bool>> slidingLayers(const JsonFields& fields, uint32_t layers) {
  constexpr const char* kField = "layer_types";
  std::vector<bool> out(layers);
  const json* types = fields.find(kField);
  if (!types) {
    SPOLIA_ASSIGN_OR_RETURN(const uint32_t full,
                            fields.integer("max_window_layers", 0, 1u << 20, kDefaultFullLayers));
    for (uint32_t i = full; i < layers; ++i) out[i] = true;
    return out;
  }
  const std::string expected =
      "a list of " + std::to_string(layers) + " times \"full_attention\" or \"sliding_attention\"";
  if (!types->is_array() || types->size() != layers) return fields.wrong(kField, expected);
  for (uint32_t i = 0; i < layers; ++i) {
    const json& type = (*types)[i];
    if (type != "full_attention" && type != "sliding_attention") {
      return fields.wrong(kField, expected,
                          type.is_string() ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument);
    }
    out[i] = type == "sliding_attention";
  }
  return out;
}

Result<std::vector<uint32_t>> readWindows(const JsonFields& fields, const ModelFamily& family,
                                          uint32_t layers) {
  if (family.windows == WindowFields::kNone) return std::vector<uint32_t>();
  std::vector<bool> sliding(layers, true);
  if (family.windows == WindowFields::kSomeLayers) {
    SPOLIA_ASSIGN_OR_RETURN(const bool used, fields.boolean("use_sliding_window", false));
    if (!used) return std::vector<uint32_t>();
    SPOLIA_ASSIGN_OR_RETURN(sliding, slidingLayers(fields, layers));
  }
  SPOLIA_ASSIGN_OR_RETURN(const uint32_t window, windowSize(fields));
  if (window == 0 || std::ranges::find(sliding, true) == sliding.end()) {
    return std::vector<uint32_t>();
  }
  std::vector<uint32_t> out;
  for (const bool slides : sliding) out.push_back(slides ? window : 0);
  return out;
}

}  // namespace

Result<const ModelFamily*> familyOf(const JsonFields& fields, std::string_view name) {
  constexpr const char* kList = "architectures";
  const json* list = fields.find(kList);
  if (!list && fields.find("model_type")) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("model_type"));
    for (const ModelFamily& family : kFamilies) {
      if (type == family.modelType) return &family;
    }
    return fields.wrong("model_type", oneOf(&ModelFamily::modelType), ErrorCode::kUnsupported);
  }
  if (!list || !list->is_array() || list->size() != 1 || !(*list)[0].is_string()) {
    return fields.wrong(kList, "a list of one of " + oneOf(&ModelFamily::architecture));
  }
  for (const ModelFamily& family : kFamilies) {
    if ((*list)[0] == family.architecture) return &family;
  }
  return Status(ErrorCode::kUnsupported,
                std::string(name) + ": architectures: unsupported architecture " +
                    describeJson((*list)[0]) + ", expected " + oneOf(&ModelFamily::architecture));
}

Status readFeatures(const JsonFields& fields, const ModelFamily& family, ModelConfig& out) {
  out.qkvBias = family.qkvBias;
  out.qkNorm = family.qkNorm;
  if (family.biasField) {
    SPOLIA_ASSIGN_OR_RETURN(out.qkvBias, fields.boolean("attention_bias", false));
    out.outputBias = out.qkvBias;
  }
  SPOLIA_ASSIGN_OR_RETURN(out.windows, readWindows(fields, family, out.layers));
  return Status();
}

}  // namespace spolia::engine
