#include "engine/model/weights.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace spolia::engine {

namespace {

float widenHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = half >> 10 & 0x1F;
  const uint32_t fraction = half & 0x3FF;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24, exact in f32
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 0xFF : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

float widenBf16(uint16_t value) {
  return std::bit_cast<float>(uint32_t{value} << 16);
}

// Files do not align tensors: 16-bit values are read bytewise.
template <typename Widen>
void widenAll(ByteSpan from, std::span<float> to, Widen widen) {
  for (size_t i = 0; i < to.size(); ++i) {
    uint16_t value;
    std::memcpy(&value, from.data() + 2 * i, sizeof value);
    to[i] = widen(value);
  }
}

std::vector<uint64_t> fileShape(const TensorSpec& spec) {
  if (spec.vector) return {spec.columns};
  return {spec.rows, spec.columns};
}

Status wrongTensor(ErrorCode code, const std::string& file, const TensorSpec& spec,
                   const std::string& what) {
  return Status(code, file + ": tensor \"" + spec.name + "\" " + what);
}

// Where a tensor that is nowhere was expected: the only file, or the directory of the shards.
std::string placeOf(const WeightSource& source) {
  const auto files = source.files();
  if (files.size() == 1) return files[0].path.string();
  return files.empty() ? "the model" : files[0].path.parent_path().string();
}

Status checkTensor(const WeightSource& source, const TensorSpec& spec) {
  const TensorEntry* entry = source.find(spec.name);
  const std::vector<uint64_t> shape = fileShape(spec);
  if (!entry) {
    return wrongTensor(ErrorCode::kInvalidArgument, placeOf(source), spec,
                       "is missing, expected with shape " + shapeText(shape));
  }
  const std::string file = source.files()[entry->file].path.string();
  if (entry->shape != shape) {
    return wrongTensor(ErrorCode::kInvalidArgument, file, spec,
                       "has shape " + shapeText(entry->shape) + ", expected " + shapeText(shape) +
                           " as config.json says");
  }
  const bool readable = entry->type == TensorType::kF32 || entry->type == TensorType::kF16 ||
                        entry->type == TensorType::kBf16;
  if (!readable) {
    return wrongTensor(
        ErrorCode::kUnsupported, file, spec,
        "is of type " + std::string(tensorTypeName(entry->type)) + ", expected F32, F16 or BF16");
  }
  return Status();
}

// Parts of other architectures that would be left out silently: the result would be wrong.
Status checkNothingLeftOut(const std::vector<TensorSpec>& specs, const WeightSource& source) {
  for (const TensorEntry& entry : source.tensors()) {
    const std::string& name = entry.name;
    const bool counts = name.ends_with(".bias") || name.ends_with(".q_norm.weight") ||
                        name.ends_with(".k_norm.weight");
    if (!counts || std::ranges::find(specs, name, &TensorSpec::name) != specs.end()) continue;
    return Status(ErrorCode::kUnsupported,
                  source.files()[entry.file].path.string() + ": tensor \"" + name +
                      "\", expected none of that name: config.json does not say that the model "
                      "has it");
  }
  return Status();
}

std::string gibibytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

Status checkMemory(const ModelConfig& config, const WeightSource& source, uint64_t limit) {
  const uint64_t needed = weightBytes(config);
  if (needed <= limit) return Status();
  return Status(ErrorCode::kResourceExhausted,
                placeOf(source) + ": the weights need " + gibibytes(needed) + " as f32 (" +
                    std::to_string(needed) + " bytes), the machine has " + gibibytes(limit));
}

Matrix widened(const TensorEntry& entry, const TensorSpec& spec) {
  Matrix out(spec.rows, spec.columns);
  const std::span<float> values(out.data(), out.rows() * out.columns());
  switch (entry.type) {
    case TensorType::kF16:
      widenAll(entry.bytes, values, widenHalf);
      break;
    case TensorType::kBf16:
      widenAll(entry.bytes, values, widenBf16);
      break;
    default:
      std::memcpy(out.data(), entry.bytes.data(), entry.bytes.size());
  }
  return out;
}

}  // namespace

std::vector<TensorSpec> tensorSpecs(const ModelConfig& config) {
  const uint32_t hidden = config.hiddenSize, ffn = config.ffnSize;
  const uint32_t query = config.queryChannels(), kv = config.kvChannels();
  std::vector<TensorSpec> out;
  out.push_back({"model.embed_tokens.weight", config.vocabSize, hidden});
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    out.push_back({layer + "input_layernorm.weight", 1, hidden, true});
    const auto project = [&](const char* which, uint32_t rows, uint32_t columns, bool biased) {
      const std::string name = layer + "self_attn." + which + "_proj.";
      out.push_back({name + "weight", rows, columns});
      if (biased) out.push_back({name + "bias", 1, rows, true});
    };
    project("q", query, hidden, config.qkvBias);
    project("k", kv, hidden, config.qkvBias);
    project("v", kv, hidden, config.qkvBias);
    if (config.qkNorm) {
      out.push_back({layer + "self_attn.q_norm.weight", 1, config.headDim, true});
      out.push_back({layer + "self_attn.k_norm.weight", 1, config.headDim, true});
    }
    project("o", hidden, query, config.outputBias);
    out.push_back({layer + "post_attention_layernorm.weight", 1, hidden, true});
    out.push_back({layer + "mlp.gate_proj.weight", ffn, hidden});
    out.push_back({layer + "mlp.up_proj.weight", ffn, hidden});
    out.push_back({layer + "mlp.down_proj.weight", hidden, ffn});
  }
  out.push_back({"model.norm.weight", 1, hidden, true});
  if (!config.tiedHead) out.push_back({"lm_head.weight", config.vocabSize, hidden});
  return out;
}

uint64_t weightBytes(const ModelConfig& config) {
  uint64_t values = 0;
  for (const TensorSpec& spec : tensorSpecs(config)) values += uint64_t{spec.rows} * spec.columns;
  return values * sizeof(float);
}

// Binds the views in the order of tensorSpecs.
void Weights::bind(const ModelConfig& config) {
  size_t next = 0;
  auto take = [&] { return storage_[next++].view(); };
  embedding_ = take();
  layers_.resize(config.layers);
  for (LayerWeights& layer : layers_) {
    const auto project = [&](MatrixView& weight, MatrixView& bias, bool biased) {
      weight = take();
      if (biased) bias = take();
    };
    layer.attnNorm = take();
    project(layer.q, layer.qBias, config.qkvBias);
    project(layer.k, layer.kBias, config.qkvBias);
    project(layer.v, layer.vBias, config.qkvBias);
    if (config.qkNorm) {
      layer.qNorm = take();
      layer.kNorm = take();
    }
    project(layer.o, layer.oBias, config.outputBias);
    for (MatrixView* view : {&layer.ffnNorm, &layer.gate, &layer.up, &layer.down}) *view = take();
  }
  finalNorm_ = take();
  head_ = config.tiedHead ? embedding_ : take();
}

Result<Weights> Weights::load(const ModelConfig& config, const WeightSource& source,
                              uint64_t memoryLimit) {
  const std::vector<TensorSpec> specs = tensorSpecs(config);
  // All before the first allocation: what is allocated is then bounded by the files' sizes.
  for (const TensorSpec& spec : specs) SPOLIA_RETURN_IF_ERROR(checkTensor(source, spec));
  SPOLIA_RETURN_IF_ERROR(checkNothingLeftOut(specs, source));
  SPOLIA_RETURN_IF_ERROR(checkMemory(config, source, memoryLimit));
  Weights out;
  for (const TensorSpec& spec : specs) {
    out.names_.push_back(spec.name);
    out.storage_.push_back(widened(*source.find(spec.name), spec));
  }
  out.bind(config);
  return out;
}

Weights Weights::zeroed(const ModelConfig& config) {
  Weights out;
  for (const TensorSpec& spec : tensorSpecs(config)) {
    out.names_.push_back(spec.name);
    Matrix& matrix = out.storage_.emplace_back(spec.rows, spec.columns);
    std::fill_n(matrix.data(), matrix.rows() * matrix.columns(), 0.0f);
  }
  out.bind(config);
  return out;
}

Matrix* Weights::mutableTensor(std::string_view name) {
  const auto it = std::find(names_.begin(), names_.end(), name);
  return it == names_.end() ? nullptr : &storage_[static_cast<size_t>(it - names_.begin())];
}

const Matrix* Weights::tensor(std::string_view name) const {
  return const_cast<Weights*>(this)->mutableTensor(name);
}

}  // namespace spolia::engine
