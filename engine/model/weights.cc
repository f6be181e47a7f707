#include "engine/model/weights.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "engine/kernels/quant_blocks.h"

namespace spolia::engine {

namespace {

std::vector<uint64_t> fileShape(const TensorSpec& spec) {
  if (spec.vector) return {spec.columns};
  return {spec.rows, spec.columns};
}

Status wrongTensor(ErrorCode code, const std::string& file, const std::string& name,
                   const std::string& what) {
  return Status(code, file + ": tensor \"" + name + "\" " + what);
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
  const std::string name = source.nameInFile(spec.name);
  if (!entry) {
    return wrongTensor(ErrorCode::kInvalidArgument, placeOf(source), name,
                       "is missing, expected with shape " + shapeText(shape));
  }
  const std::string file = source.files()[entry->file].path.string();
  if (entry->shape != shape) {
    return wrongTensor(ErrorCode::kInvalidArgument, file, name,
                       "has shape " + shapeText(entry->shape) + ", expected " + shapeText(shape) +
                           " as the configuration says");
  }
  if (!weightTypeOf(entry->type)) {
    return wrongTensor(
        ErrorCode::kUnsupported, file, name,
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
                  source.files()[entry.file].path.string() + ": tensor \"" +
                      source.nameInFile(name) +
                      "\", expected none of that name: the configuration does not say that the "
                      "model has it");
  }
  return Status();
}

std::string gibibytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

Status checkMemory(const ModelConfig& config, const WeightSource& source, WeightNumerics numerics,
                   uint64_t limit) {
  const uint64_t needed = weightBytes(config, source, numerics);
  if (needed <= limit) return Status();
  return Status(ErrorCode::kResourceExhausted,
                placeOf(source) + ": the weights need " + gibibytes(needed) + " (" +
                    std::to_string(needed) + " bytes), the machine has " + gibibytes(limit));
}

// The tensor's bytes with rows in Hugging Face's order: the file's own, or a copy in `scratch`.
const std::byte* orderedRows(const TensorEntry& entry, Bytes& scratch) {
  if (entry.interleavedHeads == 0) return entry.bytes.data();
  scratch.reserve(entry.bytes.size());
  for (uint64_t r = 0; r < entry.rows(); ++r) {
    const ByteSpan row = entry.row(r);
    scratch.insert(scratch.end(), row.begin(), row.end());
  }
  return scratch.data();
}

Matrix rowOf(const TensorEntry& entry) {
  const WeightType type = *weightTypeOf(entry.type);
  const size_t columns = entry.bytes.size() / blockBytes(type) * blockValues(type);
  Matrix out(1, columns);
  Bytes scratch;
  dequantize(type, orderedRows(entry, scratch), columns, out.data());
  return out;
}

WeightMatrix matrixOf(const TensorEntry& entry, const TensorSpec& spec) {
  Bytes scratch;
  const std::byte* rows = orderedRows(entry, scratch);
  return WeightMatrix(*weightTypeOf(entry.type), rows, spec.rows, spec.columns);
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

std::string_view weightNumericsName(WeightNumerics numerics) {
  return numerics == WeightNumerics::kInt8 ? "int8" : "f32";
}

uint64_t weightBytes(const ModelConfig& config, const WeightSource& source,
                     WeightNumerics numerics) {
  const bool int8 = numerics == WeightNumerics::kInt8;
  const std::vector<TensorSpec> specs = tensorSpecs(config);
  uint64_t bytes = 0;
  for (const TensorSpec& spec : specs) {
    const bool embedding = &spec == specs.data();
    const uint64_t asInt8 = Int8Panels::bytesFor(spec.rows, spec.columns);
    if (spec.vector) {
      bytes += spec.columns * sizeof(float);
    } else if (int8 && !embedding) {
      bytes += asInt8;
    } else {
      bytes += WeightMatrix::bytesFor(*weightTypeOf(source.find(spec.name)->type), spec.rows,
                                      spec.columns);
      if (int8 && config.tiedHead) bytes += asInt8;
    }
  }
  return bytes;
}

TensorTable TensorTable::zeroed(const ModelConfig& config) {
  TensorTable out;
  for (const TensorSpec& spec : tensorSpecs(config)) {
    out.names_.push_back(spec.name);
    out.matrices_.push_back(Matrix::zeroed(spec.rows, spec.columns));
  }
  return out;
}

Matrix* TensorTable::find(std::string_view name) {
  const auto it = std::ranges::find(names_, name);
  return it == names_.end() ? nullptr : &matrices_[static_cast<size_t>(it - names_.begin())];
}

const Matrix* TensorTable::find(std::string_view name) const {
  return const_cast<TensorTable*>(this)->find(name);
}

// Takes tensors in the order of tensorSpecs: one function gives matrices, the other rows.
template <typename TakeMatrix, typename TakeRow>
void Weights::bind(const ModelConfig& config, WeightNumerics numerics, const TakeMatrix& takeMatrix,
                   const TakeRow& takeRow) {
  const bool int8 = numerics == WeightNumerics::kInt8;
  const auto takeProjection = [&] {
    WeightMatrix matrix = takeMatrix();
    return int8 ? WeightMatrix::inInt8(matrix) : std::move(matrix);
  };
  embedding_ = takeMatrix();
  layers_.resize(config.layers);
  for (LayerWeights& layer : layers_) {
    const auto project = [&](WeightMatrix& weight, Matrix& bias, bool biased) {
      weight = takeProjection();
      if (biased) bias = takeRow();
    };
    layer.attnNorm = takeRow();
    project(layer.q, layer.qBias, config.qkvBias);
    project(layer.k, layer.kBias, config.qkvBias);
    project(layer.v, layer.vBias, config.qkvBias);
    if (config.qkNorm) {
      layer.qNorm = takeRow();
      layer.kNorm = takeRow();
    }
    project(layer.o, layer.oBias, config.outputBias);
    layer.ffnNorm = takeRow();
    for (WeightMatrix* matrix : {&layer.gate, &layer.up, &layer.down}) *matrix = takeProjection();
  }
  finalNorm_ = takeRow();
  if (!config.tiedHead) head_ = takeProjection();
  if (config.tiedHead && int8) head_ = WeightMatrix::inInt8(embedding_);
}

Result<Weights> Weights::load(const ModelConfig& config, const WeightSource& source,
                              uint64_t memoryLimit, WeightNumerics numerics) {
  const std::vector<TensorSpec> specs = tensorSpecs(config);
  // All before the first allocation: what is allocated is then bounded by the files' sizes.
  for (const TensorSpec& spec : specs) SPOLIA_RETURN_IF_ERROR(checkTensor(source, spec));
  SPOLIA_RETURN_IF_ERROR(checkNothingLeftOut(specs, source));
  SPOLIA_RETURN_IF_ERROR(checkMemory(config, source, numerics, memoryLimit));
  Weights out;
  size_t next = 0;
  out.bind(
      config, numerics,
      [&] {
        const TensorSpec& spec = specs[next++];
        return matrixOf(*source.find(spec.name), spec);
      },
      [&] { return rowOf(*source.find(specs[next++].name)); });
  return out;
}

Weights Weights::pack(const ModelConfig& config, const TensorTable& table,
                      WeightNumerics numerics) {
  const std::vector<TensorSpec> specs = tensorSpecs(config);
  Weights out;
  size_t next = 0;
  out.bind(
      config, numerics, [&] { return WeightMatrix(table.find(specs[next++].name)->view()); },
      [&] { return Matrix::copyOf(table.find(specs[next++].name)->view()); });
  return out;
}

}  // namespace spolia::engine
