// Prefill and decode of the engine alone, without cache or server: the side of llama.cpp's
// comparison that is ours. Prints one JSON object; cpu_ms is
// the processor time of a prefill.
//
//   prefill_bench --model DIR [--tokens N] [--threads T] [--runs R] [--pages f32|f16|bf16]
//                 [--decode N] [--token-file FILE]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
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

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  uint32_t tokens = 4096;
  unsigned threads = 2;
  int runs = 3;
  std::string pages = "f32";
  int decode = 0;
  std::string tokenFile;
};

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// Processor time of the process so far: what a busy machine distorts least.
double cpuMilliseconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) { return t.tv_sec * 1e3 + t.tv_usec / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// The same numbers as llamacpp/prefill.mjs: id i is 3 + (i * 7919) % (vocabulary - 3).
std::vector<codec::TokenId> makeTokens(const Options& options, uint32_t vocabSize) {
  std::vector<codec::TokenId> tokens;
  if (!options.tokenFile.empty()) {
    std::ifstream file(options.tokenFile);
    for (codec::TokenId id; file >> id;) tokens.push_back(id);
    return tokens;
  }
  for (uint32_t i = 0; i < options.tokens; ++i) {
    tokens.push_back(3 + static_cast<uint32_t>(uint64_t{i} * 7919 % (vocabSize - 3)));
  }
  return tokens;
}

struct Run {
  double prefillMs = 0;
  double cpuMs = 0;
  std::vector<double> decodeMs;
  std::vector<codec::TokenId> answer;
};

Result<Run> runOnce(const Transformer& transformer, const std::vector<codec::TokenId>& tokens,
                    codec::ElementType pageType, int decode) {
  Run run;
  std::vector<uint32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), 0);
  const double cpuStart = cpuMilliseconds();
  const auto start = Clock::now();
  KvPages pages(transformer.config(), pageType,
                static_cast<uint32_t>(tokens.size() + static_cast<size_t>(decode)));
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(tokens, positions, OutputRows::kLast));
  transformer.run(pass, pages);
  run.answer.push_back(argmax(transformer.logits(pass, pass.rows() - 1)));
  run.prefillMs = milliseconds(Clock::now() - start);
  run.cpuMs = cpuMilliseconds() - cpuStart;
  for (int i = 0; i < decode; ++i) {
    const auto stepStart = Clock::now();
    const codec::TokenId token = run.answer.back();
    const auto position = static_cast<uint32_t>(tokens.size()) + static_cast<uint32_t>(i);
    SPOLIA_ASSIGN_OR_RETURN(Pass step, transformer.begin({&token, 1}, {&position, 1}));
    transformer.run(step, pages);
    run.answer.push_back(argmax(transformer.logits(step, 0)));
    run.decodeMs.push_back(milliseconds(Clock::now() - stepStart));
  }
  return run;
}

Status bench(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const codec::ElementType pageType,
                          codec::elementTypeFromName(options.pages));
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(options.model));
  ThreadPool pool(options.threads);
  const Transformer transformer(*model, pool);
  const auto tokens = makeTokens(options, model->config().vocabSize);
  std::vector<double> prefill, cpu, decode;
  std::vector<codec::TokenId> answer;
  for (int i = 0; i < options.runs; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const Run run, runOnce(transformer, tokens, pageType, options.decode));
    prefill.push_back(run.prefillMs);
    cpu.push_back(run.cpuMs);
    decode.insert(decode.end(), run.decodeMs.begin(), run.decodeMs.end());
    answer = run.answer;
  }
  nlohmann::json out = {{"engine", "spolia"},
                        {"tokens", tokens.size()},
                        {"threads", options.threads},
                        {"pages", options.pages},
                        {"prefill_ms", median(prefill)},
                        {"prefill_runs_ms", prefill},
                        {"cpu_ms", median(cpu)},
                        {"answer", answer}};
  if (!decode.empty()) out["decode_ms_per_token"] = median(decode);
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  spolia::engine::Options options;
  CLI::App app("Times prefill and decode of a model without cache");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--tokens", options.tokens, "prompt length")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "threads")->check(CLI::PositiveNumber);
  app.add_option("--runs", options.runs, "runs, of which the median counts")
      ->check(CLI::PositiveNumber);
  app.add_option("--pages", options.pages, "element type of KV pages: f32, f16, bf16");
  app.add_option("--decode", options.decode, "tokens to generate after each prefill");
  app.add_option("--token-file", options.tokenFile, "prompt ids, separated by white space");
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::engine::bench(options);
  if (!status.ok()) std::fprintf(stderr, "prefill_bench: %s\n", status.toString().c_str());
  return status.ok() ? 0 : 1;
}
