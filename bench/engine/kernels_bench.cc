// Rates of the kernels a prefill is made of, on the shapes of the ttft model, with one thread and
// by processor time, so that a busy machine disturbs little. Prints one JSON object of GFLOP/s.
//
//   kernels_bench [--seconds S]
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "engine/kernels/activation.h"
#include "engine/kernels/norm.h"
#include "engine/products/products.h"
#include "engine/transformer/attention.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {
namespace {

double cpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Best seconds of one call, repeated for at least `seconds`.
double bestOf(double seconds, const std::function<void()>& call) {
  call();
  double best = 1e30, spent = 0;
  while (spent < seconds) {
    const double start = cpuSeconds();
    call();
    const double took = cpuSeconds() - start;
    best = std::min(best, took);
    spent += took;
  }
  return best;
}

Matrix filled(size_t rows, size_t columns) {
  Matrix out(rows, columns);
  for (size_t i = 0; i < rows * columns; ++i) {
    out.data()[i] = static_cast<float>(i * 2654435761u % 1000) * 1e-3f - 0.5f;
  }
  return out;
}

double gemmRate(double seconds, size_t m, size_t n, size_t k) {
  ThreadPool pool(1);
  const Matrix in = filled(m, k);
  const WeightMatrix weight(filled(n, k).view());
  Matrix out(m, n);
  const double took = bestOf(
      seconds, [&] { multiply(in.view(), weight, out.mutableView(), Accumulate::kReplace, pool); });
  return 2e-9 * static_cast<double>(m * n * k) / took;
}

// `rows` queries at the end of `keys` positions; only visible pairs count.
double attentionRate(double seconds, const ModelConfig& config, uint32_t rows, uint32_t keys) {
  ThreadPool pool(1);
  KvPages pages(config, codec::ElementType::kF32, keys);
  const RopeTable rope(config.headDim, config.ropeTheta, keys);
  const Matrix k = filled(1, config.kvChannels()), q = filled(rows, config.queryChannels());
  for (uint32_t position = 0; position < keys; ++position) {
    pages.writeRow(0, position, k.data(), k.data());
  }
  WorkingKv& kv = pages.working();
  kv.load(pages, 0, keys, rope, pool);
  std::vector<uint32_t> positions(rows);
  std::iota(positions.begin(), positions.end(), keys - rows);
  Matrix out(rows, config.queryChannels());
  const double took =
      bestOf(seconds, [&] { attend(q.view(), positions, kv, 0, out.mutableView(), pool); });
  const double pairs = (2.0 * keys - rows + 1) / 2 * rows;
  return 4e-9 * pairs * config.queryChannels() / took;
}

double copyRate(double seconds, size_t rows, size_t columns,
                const std::function<void(float*)>& kernel) {
  Matrix data = filled(rows, columns);
  const double took = bestOf(seconds, [&] {
    for (size_t r = 0; r < rows; ++r) kernel(data.row(r));
  });
  return 1e-9 * static_cast<double>(rows * columns) / took;
}

nlohmann::json measure(double seconds) {
  ModelConfig config;
  config.hiddenSize = 768, config.layers = 1, config.heads = 12, config.kvHeads = 4;
  config.headDim = 64, config.ffnSize = 1536, config.ropeTheta = 10000;
  nlohmann::json out;
  for (size_t m : {1, 2, 16, 64, 300, 512, 4096}) {
    const std::string rows = std::to_string(m);
    out["gemm.qo_" + rows] = gemmRate(seconds, m, 768, 768);
    out["gemm.kv_" + rows] = gemmRate(seconds, m, 256, 768);
    out["gemm.gate_" + rows] = gemmRate(seconds, m, 1536, 768);
    out["gemm.down_" + rows] = gemmRate(seconds, m, 768, 1536);
  }
  for (uint32_t rows : {1u, 16u, 300u, 4096u}) {
    out["attention_" + std::to_string(rows) + "_of_4096"] =
        attentionRate(seconds, config, rows, 4096);
  }
  const Matrix ones = filled(1, 1536);
  out["norm_gvalues"] =
      copyRate(seconds, 16, 768, [&](float* row) { rmsNorm(row, ones.data(), 768, 1e-5f, row); });
  out["silu_gvalues"] =
      copyRate(seconds, 16, 1536, [&](float* row) { siluMultiply(row, ones.data(), 1536, row); });
  return out;
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  double seconds = 0.3;
  CLI::App app("Rates of the engine's kernels");
  app.add_option("--seconds", seconds, "processor time for each figure");
  CLI11_PARSE(app, argc, argv);
  std::printf("%s\n", spolia::engine::measure(seconds).dump(1).c_str());
}
