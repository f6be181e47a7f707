// What products in int8 cost in quality: next-token predictions over a text by the same model in
// f32 and in int8. Prints one JSON object: "kl" (mean of KL(f32 || int8) in nats), "top1" (share of
// rows whose likeliest token is the same), "nll_f32" and "nll_int8" (mean of -log p of the text's
// tokens).
//
//   numerics_bench --model PATH --text FILE [--passages N] [--tokens N] [--threads T]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {
namespace {

using Ids = std::vector<codec::TokenId>;

struct Options {
  std::string model, text;
  size_t passages = 16, tokens = 256;
  unsigned threads = 2;
};

// Log-probabilities of every row of a passage.
Result<std::vector<std::vector<float>>> predict(const Transformer& transformer, const Ids& ids) {
  KvPages pages(transformer.config(), codec::ElementType::kF32, static_cast<uint32_t>(ids.size()));
  std::vector<uint32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(ids, positions));
  transformer.run(pass, pages);
  std::vector<std::vector<float>> out;
  for (size_t r = 0; r < pass.rows(); ++r) {
    std::vector<float>& row = out.emplace_back(transformer.logits(pass, r));
    const float most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float value : row) sum += std::exp(double{value} - most);
    const double all = most + std::log(sum);
    for (float& value : row) value = static_cast<float>(value - all);
  }
  return out;
}

struct Sums {
  double kl = 0, same = 0, nllExact = 0, nllInt8 = 0;
  double rows = 0;

  void add(const std::vector<float>& exact, const std::vector<float>& int8, codec::TokenId next) {
    for (size_t i = 0; i < exact.size(); ++i) {
      kl += std::exp(double{exact[i]}) * (double{exact[i]} - int8[i]);
    }
    same += argmax(exact) == argmax(int8) ? 1 : 0;
    nllExact -= exact[next];
    nllInt8 -= int8[next];
    ++rows;
  }
};

Status bench(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> exact, Model::load(options.model));
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> int8,
                          Model::load(options.model, {.numerics = WeightNumerics::kInt8}));
  std::ifstream file(options.text, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  SPOLIA_ASSIGN_OR_RETURN(const Ids all, exact->tokenizer().encode(text));
  if (all.size() < options.tokens) {
    return Status(ErrorCode::kInvalidArgument,
                  options.text + ": shorter than a passage of --tokens");
  }
  ThreadPool pool(options.threads);
  const Transformer first(*exact, pool), second(*int8, pool);
  Sums sums;
  for (size_t i = 0; i < options.passages; ++i) {
    const size_t begin = (all.size() - options.tokens) * i / options.passages;
    Ids ids = {exact->config().bosToken};
    ids.insert(ids.end(), all.begin() + static_cast<ptrdiff_t>(begin),
               all.begin() + static_cast<ptrdiff_t>(begin + options.tokens));
    SPOLIA_ASSIGN_OR_RETURN(const auto expected, predict(first, ids));
    SPOLIA_ASSIGN_OR_RETURN(const auto found, predict(second, ids));
    for (size_t r = 0; r + 1 < ids.size(); ++r) sums.add(expected[r], found[r], ids[r + 1]);
  }
  const nlohmann::json out = {{"kl", sums.kl / sums.rows},
                              {"top1", sums.same / sums.rows},
                              {"nll_f32", sums.nllExact / sums.rows},
                              {"nll_int8", sums.nllInt8 / sums.rows},
                              {"rows", sums.rows}};
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  spolia::engine::Options options;
  CLI::App app("Compares predictions in f32 and int8");
  app.add_option("--model", options.model, "Hugging Face directory or GGUF file")->required();
  app.add_option("--text", options.text, "UTF-8 text to predict")->required();
  app.add_option("--passages", options.passages, "passages")->check(CLI::PositiveNumber);
  app.add_option("--tokens", options.tokens, "tokens of a passage")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "threads")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::engine::bench(options);
  if (!status.ok()) std::fprintf(stderr, "numerics_bench: %s\n", status.toString().c_str());
  return status.ok() ? 0 : 1;
}
