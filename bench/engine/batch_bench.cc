// What decoding several sequences together is worth: tokens a second of one and of several of them,
// in the engine alone. Prints one JSON object.
//
//   batch_bench --model DIR [--rows N] [--context N] [--steps N] [--threads T] [--runs R]
//               [--pages f32|f16|bf16]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/transformer/decode_batch.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  size_t rows = 8;
  uint32_t context = 256;
  uint32_t steps = 32;
  unsigned threads = 2;
  int runs = 3;
  std::string pages = "bf16";
};

// A sequence whose prompt is complete.
struct Running {
  std::unique_ptr<KvPages> pages;
  codec::TokenId token = 0;
  uint32_t position = 0;
};

Result<Running> begin(const Transformer& transformer, const Options& options,
                      codec::ElementType type, uint32_t seed) {
  const ModelConfig& config = transformer.config();
  std::vector<codec::TokenId> tokens(options.context);
  std::vector<uint32_t> positions(options.context);
  std::iota(positions.begin(), positions.end(), 0);
  for (uint32_t i = 0; i < options.context; ++i) {
    tokens[i] = 3 + static_cast<uint32_t>(uint64_t{i + seed} * 7919 % (config.vocabSize - 3));
  }
  Running out;
  const uint32_t room = options.context + options.steps * static_cast<uint32_t>(options.runs + 1);
  out.pages = std::make_unique<KvPages>(config, type, room);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(tokens, positions, OutputRows::kLast));
  transformer.run(pass, *out.pages);
  out.token = argmax(transformer.logits(pass, pass.rows() - 1));
  out.position = options.context;
  out.pages->releaseWorking();
  return out;
}

// Tokens a second of the first `count` sequences together.
double rateOf(DecodeBatch& batch, std::vector<Running>& all, size_t count, uint32_t steps) {
  const auto start = Clock::now();
  std::vector<DecodeRow> rows(count);
  for (uint32_t step = 0; step < steps; ++step) {
    for (size_t i = 0; i < count; ++i) {
      rows[i] = {all[i].pages.get(), all[i].token, all[i].position + step};
    }
    const MatrixView logits = batch.step(rows);
    for (size_t i = 0; i < count; ++i) {
      all[i].token = argmax({logits.row(i), logits.columns()});
    }
  }
  const std::chrono::duration<double> seconds = Clock::now() - start;
  return static_cast<double>(count * steps) / seconds.count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

Status bench(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const codec::ElementType type, codec::elementTypeFromName(options.pages));
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(options.model));
  ThreadPool pool(options.threads);
  const Transformer transformer(*model, pool);
  std::vector<Running> all;
  for (uint32_t i = 0; i < options.rows; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(Running each, begin(transformer, options, type, i));
    all.push_back(std::move(each));
  }
  DecodeBatch batch(transformer, options.rows);
  std::vector<double> one, together;
  // In turns, so that both see the same machine. The same positions are written again.
  for (int run = 0; run < options.runs; ++run) {
    one.push_back(rateOf(batch, all, 1, options.steps));
    together.push_back(rateOf(batch, all, options.rows, options.steps));
  }
  const nlohmann::json out = {{"rows", options.rows},
                              {"context", options.context},
                              {"threads", options.threads},
                              {"pages", options.pages},
                              {"tokens_per_s_one", median(one)},
                              {"tokens_per_s_together", median(together)},
                              {"gain", median(together) / median(one)}};
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  spolia::engine::Options options;
  CLI::App app("Times decoding one sequence and several together");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--rows", options.rows, "sequences decoded together")->check(CLI::PositiveNumber);
  app.add_option("--context", options.context, "rows of each prompt")->check(CLI::PositiveNumber);
  app.add_option("--steps", options.steps, "tokens of each in a run")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "threads")->check(CLI::PositiveNumber);
  app.add_option("--runs", options.runs, "runs, of which the median counts")
      ->check(CLI::PositiveNumber);
  app.add_option("--pages", options.pages, "element type of KV pages: f32, f16, bf16");
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::engine::bench(options);
  if (!status.ok()) std::fprintf(stderr, "batch_bench: %s\n", status.toString().c_str());
  return status.ok() ? 0 : 1;
}
