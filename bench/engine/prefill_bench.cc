// Prefill and decode of the engine alone, without cache or server: the side of llama.cpp's
// comparison that is ours. Prints one JSON object; cpu_ms is
// the processor time of a prefill.
//
//   prefill_bench --model DIR [--tokens N] [--threads T] [--runs R] [--pages f32|f16|bf16]
//                 [--numerics f32|int8] [--decode N] [--token-file FILE] [--library]
//                 [--block-rows N]
//
// With --library each run is followed by the model's products alone, once by the engine and once by
// the best library: product_ms and library_ms, and product_flops, attention_flops of the prefill.
// With --decode: read_ms, in which the threads could read the weights that a token needs.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "bench/engine/library_gemm.h"
#include "bench/engine/memory_reads.h"
#include "engine/gguf/model_loading.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/products/products.h"
#include "engine/transformer/decode_batch.h"
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
  std::string numerics = "f32";
  bool library = false;
  size_t blockRows = SIZE_MAX;
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
                    codec::ElementType pageType, const Options& options) {
  const int decode = options.decode;
  Run run;
  std::vector<uint32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), 0);
  const double cpuStart = cpuMilliseconds();
  const auto start = Clock::now();
  KvPages pages(transformer.config(), pageType,
                static_cast<uint32_t>(tokens.size() + static_cast<size_t>(decode)));
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(tokens, positions, OutputRows::kLast));
  for (uint32_t layer = 0; layer < transformer.config().layers; ++layer) {
    for (size_t row = 0; row < pass.rows(); row += options.blockRows) {
      transformer.runRows(pass, layer, row, std::min(options.blockRows, pass.rows() - row), pages);
      if (options.blockRows >= pass.rows()) break;
    }
  }
  run.answer.push_back(argmax(transformer.logits(pass, pass.rows() - 1)));
  run.prefillMs = milliseconds(Clock::now() - start);
  run.cpuMs = cpuMilliseconds() - cpuStart;
  DecodeBatch batch(transformer, 1);
  for (int i = 0; i < decode; ++i) {
    const auto stepStart = Clock::now();
    const codec::TokenId token = run.answer.back();
    const auto position = static_cast<uint32_t>(tokens.size()) + static_cast<uint32_t>(i);
    const DecodeRow row{&pages, token, position};
    const MatrixView logits = batch.step({&row, 1});
    run.answer.push_back(argmax({logits.row(0), logits.columns()}));
    run.decodeMs.push_back(milliseconds(Clock::now() - stepStart));
  }
  return run;
}

// The products of a prefill whose last layer computes the last row only behind K and V.
std::vector<GemmShape> productShapes(const ModelConfig& config, size_t rows) {
  const size_t layers = config.layers, hidden = config.hiddenSize;
  const size_t query = config.queryChannels(), kv = config.kvChannels(), ffn = config.ffnSize;
  return {{rows, query, hidden, layers},
          {rows, kv, hidden, 2 * layers},
          {rows, hidden, query, layers - 1},
          {rows, ffn, hidden, 2 * (layers - 1)},
          {rows, hidden, ffn, layers - 1}};
}

double attentionFlops(const ModelConfig& config, size_t rows) {
  const double pairs = static_cast<double>(rows) * static_cast<double>(rows + 1) / 2;
  return 4.0 * config.queryChannels() * pairs * (config.layers - 1);
}

// Milliseconds of the same products by the engine's own code.
double engineProducts(const Model& model, size_t rows, ThreadPool& pool) {
  const ModelConfig& config = model.config();
  const Matrix hidden = Matrix::zeroed(rows, config.hiddenSize);
  const Matrix query = Matrix::zeroed(rows, config.queryChannels());
  const Matrix ffn = Matrix::zeroed(rows, config.ffnSize);
  Matrix outHidden(rows, config.hiddenSize), q(rows, config.queryChannels());
  Matrix k(rows, config.kvChannels()), v(rows, config.kvChannels());
  Matrix gate(rows, config.ffnSize), up(rows, config.ffnSize);
  const auto start = Clock::now();
  for (uint32_t i = 0; i < config.layers; ++i) {
    const LayerWeights& w = model.weights().layers()[i];
    const Product qkv[] = {{w.q, q.mutableView()}, {w.k, k.mutableView()}, {w.v, v.mutableView()}};
    multiply(hidden.view(), qkv, Accumulate::kReplace, pool);
    if (i + 1 == config.layers) break;
    multiply(query.view(), w.o, outHidden.mutableView(), Accumulate::kAdd, pool);
    const Product ups[] = {{w.gate, gate.mutableView()}, {w.up, up.mutableView()}};
    multiply(hidden.view(), ups, Accumulate::kReplace, pool);
    multiply(ffn.view(), w.down, outHidden.mutableView(), Accumulate::kAdd, pool);
  }
  return milliseconds(Clock::now() - start);
}

// What is measured beside each run with --library.
class Products {
 public:
  Products(const Model& model, size_t rows, ThreadPool& pool)
      : model_(model), rows_(rows), pool_(pool), shapes_(productShapes(model.config(), rows)) {
    for (const Library library : {Library::kOpenBlas, Library::kOneDnn}) {
      libraries_.emplace_back(library, shapes_, pool.threads());
    }
    engineProducts(model_, rows_, pool_);
  }

  void measure() {
    engineMs_.push_back(engineProducts(model_, rows_, pool_));
    const std::vector<double> blas = libraries_[0].seconds(), dnn = libraries_[1].seconds();
    double best = 0;
    for (size_t i = 0; i < shapes_.size(); ++i) best += std::min(blas[i], dnn[i]);
    libraryMs_.push_back(best * 1e3);
  }

  void tell(nlohmann::json& out) const {
    double flops = 0;
    for (const GemmShape& shape : shapes_) flops += shape.flops();
    out["product_ms"] = median(engineMs_);
    out["library_ms"] = median(libraryMs_);
    out["product_flops"] = flops;
    out["attention_flops"] = attentionFlops(model_.config(), rows_);
  }

 private:
  const Model& model_;
  const size_t rows_;
  ThreadPool& pool_;
  const std::vector<GemmShape> shapes_;
  std::vector<LibraryGemm> libraries_;
  std::vector<double> engineMs_, libraryMs_;
};

// Bytes of weights that a step of decoding reads.
double weightsOfAToken(const Weights& weights) {
  size_t bytes = weights.head().bytes();
  for (const LayerWeights& layer : weights.layers()) {
    for (const WeightMatrix* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      bytes += matrix->bytes();
    }
  }
  return static_cast<double>(bytes);
}

Status bench(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const codec::ElementType pageType,
                          codec::elementTypeFromName(options.pages));
  ModelLoadOptions loading;
  if (options.numerics == "int8") loading.numerics = WeightNumerics::kInt8;
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, loadModel(options.model, loading));
  ThreadPool pool(options.threads);
  const Transformer transformer(*model, pool);
  const auto tokens = makeTokens(options, model->config().vocabSize);
  std::optional<Products> products;
  if (options.library) products.emplace(*model, tokens.size(), pool);
  std::vector<double> prefill, cpu, decode;
  std::vector<codec::TokenId> answer;
  for (int i = 0; i < options.runs; ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const Run run, runOnce(transformer, tokens, pageType, options));
    prefill.push_back(run.prefillMs);
    cpu.push_back(run.cpuMs);
    decode.insert(decode.end(), run.decodeMs.begin(), run.decodeMs.end());
    answer = run.answer;
    if (products) products->measure();
  }
  nlohmann::json out = {
      {"engine", "spolia"},         {"tokens", tokens.size()},      {"threads", options.threads},
      {"pages", options.pages},     {"numerics", options.numerics}, {"prefill_ms", median(prefill)},
      {"prefill_runs_ms", prefill}, {"cpu_ms", median(cpu)},        {"answer", answer}};
  if (products) products->tell(out);
  if (!decode.empty()) {
    out["decode_ms_per_token"] = median(decode);
    out["read_ms"] = 1e3 * weightsOfAToken(model->weights()) / readRate(pool);
  }
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
  app.add_option("--numerics", options.numerics, "f32 or int8")
      ->check(CLI::IsMember({"f32", "int8"}));
  app.add_flag("--library", options.library, "also time the products alone, and the libraries'");
  app.add_option("--decode", options.decode, "tokens to generate after each prefill");
  app.add_option("--block-rows", options.blockRows, "rows that go through a layer at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--token-file", options.tokenFile, "prompt ids, separated by white space");
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::engine::bench(options);
  if (!status.ok()) std::fprintf(stderr, "prefill_bench: %s\n", status.toString().c_str());
  return status.ok() ? 0 : 1;
}
