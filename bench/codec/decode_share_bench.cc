// Decoding a chunk against computing it, both on one core: a model's own KV of a text, under the
// profiles it is given. Prints one JSON object: milliseconds of processor time of each round, by
// preset, and what the chunk takes. Rounds alternate.
//
//   decode_share_bench --model DIR --text FILE --profile FILE... [--tokens N] [--rounds N]
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "bench/process_figures.h"
#include "codec/codec.h"
#include "engine/gguf/model_loading.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/profile/profile_file.h"
#include "engine/transformer/dense_kv.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::bench {
namespace {

using namespace engine;

constexpr codec::ElementType kPageType = codec::ElementType::kBf16;

struct Options {
  std::string model;
  std::string text;
  std::vector<std::string> profiles;
  uint32_t tokens = 256;
  int rounds = 11;
};

template <typename T>
T orDie(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "decode_share_bench: %s\n", result.status().toString().c_str());
  std::exit(1);
}

std::vector<codec::TokenId> tokensOf(const Options& options, const Tokenizer& tokenizer) {
  std::ifstream file(options.text, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto tokens = orDie(tokenizer.encode(text));
  if (tokens.size() < options.tokens) {
    std::fprintf(stderr, "decode_share_bench: %s: fewer than %u tokens\n", options.text.c_str(),
                 options.tokens);
    std::exit(1);
  }
  tokens.resize(options.tokens);
  return tokens;
}

// A chunk under the preset that a profile is for.
struct Encoded {
  std::shared_ptr<const codec::Profile> profile;
  codec::Preset preset;
  AlignedBuffer stream;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : model_(orDie(loadModel(options.model))),
        tokens_(tokensOf(options, model_->tokenizer())),
        positions_(tokens_.size()),
        out_(model_->config(), kPageType, model_->config().layers, options.tokens),
        firstLayer_(model_->config(), kPageType, options.tokens) {
    std::iota(positions_.begin(), positions_.end(), 0);
    for (const std::string& path : options.profiles) add(path);
  }

  nlohmann::ordered_json run(int rounds) {
    nlohmann::ordered_json out = {{"fp16_bytes", fp16Bytes()}};
    for (int i = -1; i < rounds; ++i) {  // one round to warm up
      const double prefill = millisecondsOf([&] { prefillOnce(); });
      if (i >= 0) out["prefill_ms"].push_back(prefill);
      for (const Encoded& chunk : chunks_) {
        auto& entry = out["presets"][std::string(codec::presetName(chunk.preset))];
        const double decode = millisecondsOf([&] { decodeOnce(chunk); });
        if (i >= 0) entry["decode_ms"].push_back(decode);
        entry["bytes"] = chunk.stream.size();
      }
    }
    return out;
  }

 private:
  void add(const std::string& path) {
    Encoded chunk;
    chunk.profile = orDie(readProfile(path));
    chunk.preset = static_cast<codec::Preset>(chunk.profile->data().transforms.front().preset);
    const ChunkCompiler compiler(
        *model_, transformer_, {chunk.preset, kPageType, codec::CompileMode::kBos, chunk.profile});
    chunk.stream = orDie(compiler.compile(tokens_));
    chunks_.push_back(std::move(chunk));
  }

  uint64_t fp16Bytes() const {
    return uint64_t{2} * 2 * model_->config().layers * model_->config().kvChannels() *
           tokens_.size();
  }

  template <typename Work>
  static double millisecondsOf(const Work& work) {
    const double start = cpuSeconds();
    work();
    return 1e3 * (cpuSeconds() - start);
  }

  // All that computing the chunk's KV takes; no logits.
  void prefillOnce() {
    KvPages pages(model_->config(), kPageType, static_cast<uint32_t>(tokens_.size()));
    Pass pass = orDie(transformer_.begin(tokens_, positions_, OutputRows::kLast));
    transformer_.run(pass, pages);
  }

  // From stored bytes to values in the page type, checks included, and the first layer where the
  // stream leaves it to the reader.
  void decodeOnce(const Encoded& chunk) {
    const codec::StreamHeader header = orDie(codec::parseHeader(chunk.stream.span()));
    SPOLIA_CHECK(
        codec::decodeStream(chunk.stream.span(), header, {}, out_.target(), chunk.profile.get())
            .ok());
    if (header.derivedLayers > 0) {
      SPOLIA_CHECK(transformer_.writeFirstLayer(tokens_, positions_, firstLayer_).ok());
    }
  }

  const std::unique_ptr<Model> model_;
  const std::vector<codec::TokenId> tokens_;
  ThreadPool pool_{1};
  const Transformer transformer_{*model_, pool_};
  std::vector<uint32_t> positions_;
  DenseKv out_;
  KvPages firstLayer_;
  std::vector<Encoded> chunks_;
};

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  spolia::bench::Options options;
  CLI::App app("Decoding a chunk against computing it, both on one core.");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--text", options.text, "what the chunk says")->required();
  app.add_option("--profile", options.profiles, "one a preset")->required();
  app.add_option("--tokens", options.tokens, "of the chunk")->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "after one to warm up")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  std::printf("%s\n", spolia::bench::Bench(options).run(options.rounds).dump().c_str());
  return 0;
}
