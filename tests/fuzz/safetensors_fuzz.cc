// Safetensors files: every tensor of one that is accepted lies inside the file, has the bytes of
// its type and shape, and weights are read out of it or refused.
#include "engine/model/weights.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::engine {
namespace {

// That of tests/golden/engine/llama_linear, RoPE aside.
ModelConfig configOfSeed() {
  return {.hiddenSize = 24,
          .layers = 2,
          .heads = 2,
          .kvHeads = 1,
          .headDim = 16,
          .ffnSize = 32,
          .vocabSize = 272,
          .maxPositions = 512,
          .rmsEps = 1e-6f,
          .ropeTheta = 10000,
          .tiedHead = true,
          .eosTokens = {1}};
}

class OneFile final : public WeightSource {
 public:
  explicit OneFile(std::vector<TensorEntry> tensors) : tensors_(std::move(tensors)) {}
  std::span<const FileStamp> files() const override { return {&stamp_, 1}; }
  std::span<const TensorEntry> tensors() const override { return tensors_; }

 private:
  FileStamp stamp_;
  std::vector<TensorEntry> tensors_;
};

void check(const std::vector<TensorEntry>& tensors, ByteSpan file) {
  for (const TensorEntry& tensor : tensors) {
    const auto type = weightTypeOf(tensor.type);
    FUZZ_CHECK(tensor.bytes.empty() ||
               (tensor.bytes.data() >= file.data() &&
                tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size()));
    uint64_t values = 1;
    for (const uint64_t extent : tensor.shape) values *= extent;
    FUZZ_CHECK(!type || storedBytes(*type, values) == tensor.bytes.size());
  }
}

}  // namespace
}  // namespace spolia::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia::engine;
  const spolia::ByteSpan file(reinterpret_cast<const std::byte*>(data), size);
  auto tensors = parseSafetensors(file, "t");
  if (!tensors.ok()) return 0;
  check(*tensors, file);
  static const ModelConfig config = configOfSeed();
  (void)Weights::load(config, OneFile(std::move(*tensors)));
  return 0;
}
