// The weights of a model in memory: named tensors of a WeightSource, packed for products and bound
// to their layers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/model/model_config.h"
#include "engine/model/weight_file.h"
#include "engine/products/weight_matrix.h"

namespace spolia::engine {

// Name and shape of a tensor of the model.
struct TensorSpec {
  std::string name;
  uint32_t rows = 0;
  uint32_t columns = 0;
  bool vector = false;  // one dimension in the file: [columns]
};

// Every tensor a model of this configuration has, in the order of computation.
std::vector<TensorSpec> tensorSpecs(const ModelConfig& config);

// The tensors of a configuration as f32 matrices by their Hugging Face names: what models made in
// memory are filled with. Moves.
class TensorTable {
 public:
  // Of the right shapes, all zero.
  static TensorTable zeroed(const ModelConfig& config);

  // Null when the model has none of that name.
  Matrix* find(std::string_view name);
  const Matrix* find(std::string_view name) const;

 private:
  std::vector<std::string> names_;  // parallel to matrices_
  std::vector<Matrix> matrices_;
};

// One layer. Projections [out][in] compute y = x * W^T; the others are one row each, f32.
struct LayerWeights {
  Matrix attnNorm;    // [1][hidden]
  WeightMatrix q;     // [heads * headDim][hidden]
  WeightMatrix k;     // [kvHeads * headDim][hidden]
  WeightMatrix v;     // [kvHeads * headDim][hidden]
  WeightMatrix o;     // [hidden][heads * headDim]
  Matrix ffnNorm;     // [1][hidden]
  WeightMatrix gate;  // [ffn][hidden]
  WeightMatrix up;    // [ffn][hidden]
  WeightMatrix down;  // [hidden][ffn]
  // Empty where the model has none of them.
  Matrix qBias;  // [1][heads * headDim]
  Matrix kBias;  // [1][kvHeads * headDim]
  Matrix vBias;  // [1][kvHeads * headDim]
  Matrix oBias;  // [1][hidden]
  Matrix qNorm;  // [1][headDim], the same for every head
  Matrix kNorm;  // [1][headDim]
};

// What products are computed with. Part of a model's fingerprint: KV of one are not KV of the
// other.
enum class WeightNumerics : uint8_t {
  kF32,   // weights as the file has them, everything else f32
  kInt8,  // projections and head in 8 bits, one scale for each output; inputs too, one for each row
};

// "f32", "int8".
std::string_view weightNumericsName(WeightNumerics numerics);

// All weights of a model. Moves; const from any thread.
class Weights {
 public:
  // Packs what `config` needs out of `source`, in the element type of the file; tensors it does
  // not need are ignored. kInvalidArgument names file and tensor: one that is absent, of the wrong
  // shape (expected and found); kUnsupported one of an element type that the engine does not
  // compute with, or that would change the forward pass and is not of this configuration.
  // kResourceExhausted names the bytes when they are more than `memoryLimit`; nothing of the kind
  // was allocated then.
  static Result<Weights> load(const ModelConfig& config, const WeightSource& source,
                              uint64_t memoryLimit = UINT64_MAX,
                              WeightNumerics numerics = WeightNumerics::kF32);
  // `table` has the tensors of `config`.
  static Weights pack(const ModelConfig& config, const TensorTable& table,
                      WeightNumerics numerics = WeightNumerics::kF32);

  Weights(Weights&&) = default;
  Weights& operator=(Weights&&) = default;

  const WeightMatrix& embedding() const { return embedding_; }  // [vocab][hidden]
  const std::vector<LayerWeights>& layers() const { return layers_; }
  const Matrix& finalNorm() const { return finalNorm_; }  // [1][hidden]
  // [vocab][hidden]; where tied the embedding, or with int8 the same values in 8 bits.
  const WeightMatrix& head() const { return head_.empty() ? embedding_ : head_; }

 private:
  Weights() = default;
  template <typename TakeMatrix, typename TakeRow>
  void bind(const ModelConfig& config, WeightNumerics numerics, const TakeMatrix& takeMatrix,
            const TakeRow& takeRow);

  WeightMatrix embedding_, head_;
  Matrix finalNorm_;
  std::vector<LayerWeights> layers_;
};

// Bytes that the weights of `source` take up in memory. `source` has the tensors of `config`.
uint64_t weightBytes(const ModelConfig& config, const WeightSource& source,
                     WeightNumerics numerics = WeightNumerics::kF32);

}  // namespace spolia::engine
