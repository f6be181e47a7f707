// The weights of a model in memory, widened to f32: named tensors of a WeightSource become
// typed views per layer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/model/model_config.h"
#include "engine/model/weight_file.h"

namespace spolia::engine {

// One layer. Projections are [out][in] row-major, so y = x * W^T; norms are [1][hidden].
struct LayerWeights {
  MatrixView attnNorm;  // [1][hidden]
  MatrixView q;         // [heads * headDim][hidden]
  MatrixView k;         // [kvHeads * headDim][hidden]
  MatrixView v;         // [kvHeads * headDim][hidden]
  MatrixView o;         // [hidden][heads * headDim]
  MatrixView ffnNorm;   // [1][hidden]
  MatrixView gate;      // [ffn][hidden]
  MatrixView up;        // [ffn][hidden]
  MatrixView down;      // [hidden][ffn]
  // Empty where the model has none of them.
  MatrixView qBias;  // [1][heads * headDim]
  MatrixView kBias;  // [1][kvHeads * headDim]
  MatrixView vBias;  // [1][kvHeads * headDim]
  MatrixView oBias;  // [1][hidden]
  MatrixView qNorm;  // [1][headDim], the same for every head
  MatrixView kNorm;  // [1][headDim]
};

// All weights; owns what the views show. Moves, so views stay valid; const from any thread.
class Weights {
 public:
  // Copies and widens what `config` needs out of `source`; tensors it does not need are ignored.
  // kInvalidArgument names file and tensor: one that is absent, of the wrong shape (expected and
  // found), or of an element type other than F32, F16 and BF16; kUnsupported one that would change
  // the forward pass and is not of this configuration. kResourceExhausted names the bytes when they
  // are more than `memoryLimit`; nothing of the kind was allocated then.
  static Result<Weights> load(const ModelConfig& config, const WeightSource& source,
                              uint64_t memoryLimit = UINT64_MAX);
  // Of the right shapes, all zero: for models made in memory, filled through mutableTensor().
  static Weights zeroed(const ModelConfig& config);

  Weights(Weights&&) = default;
  Weights& operator=(Weights&&) = default;

  const MatrixView& embedding() const { return embedding_; }  // [vocab][hidden]
  const std::vector<LayerWeights>& layers() const { return layers_; }
  const MatrixView& finalNorm() const { return finalNorm_; }  // [1][hidden]
  const MatrixView& head() const { return head_; }  // [vocab][hidden]; the embedding where tied

  // A tensor by its Hugging Face name, null when the model has none of that name.
  Matrix* mutableTensor(std::string_view name);
  const Matrix* tensor(std::string_view name) const;

 private:
  Weights() = default;
  void bind(const ModelConfig& config);

  std::vector<std::string> names_;  // parallel to storage_
  std::vector<Matrix> storage_;
  MatrixView embedding_, finalNorm_, head_;
  std::vector<LayerWeights> layers_;
};

// Name and shape of a tensor of the model.
struct TensorSpec {
  std::string name;
  uint32_t rows = 0;
  uint32_t columns = 0;
  bool vector = false;  // one dimension in the file: [columns]
};

// Every tensor a model of this configuration has, in the order of computation.
std::vector<TensorSpec> tensorSpecs(const ModelConfig& config);

// Bytes that Weights of this configuration take up: four for each value, whatever files hold.
uint64_t weightBytes(const ModelConfig& config);

}  // namespace spolia::engine
