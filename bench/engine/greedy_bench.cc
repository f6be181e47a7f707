// Greedy continuations of prompts by the engine, in f32 with f32 pages, for comparing them token by
// token with another engine's. Prints one JSON object: "prompts" (ids, BOS included), "answers"
// (ids; shorter than asked for where the text ended) and "gaps" (by how much the chosen token's
// logit is above the next one's).
//
//   greedy_bench --model PATH --text FILE [--prompts N] [--prompt-tokens N] [--tokens N]
//                [--threads T]
#include <CLI/CLI.hpp>
#include <algorithm>
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
  size_t prompts = 20, promptTokens = 100, tokens = 64;
  unsigned threads = 2;
};

struct Continuation {
  Ids answer;
  std::vector<float> gaps;
};

// Prompts from places spread evenly over the text, each behind BOS.
Result<std::vector<Ids>> promptsOf(const Model& model, const Options& options) {
  std::ifstream file(options.text, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  SPOLIA_ASSIGN_OR_RETURN(const Ids all, model.tokenizer().encode(text));
  if (all.size() < options.promptTokens) {
    return Status(ErrorCode::kInvalidArgument, options.text + ": " + std::to_string(all.size()) +
                                                   " tokens, expected " +
                                                   std::to_string(options.promptTokens));
  }
  const size_t room = all.size() - options.promptTokens;
  std::vector<Ids> out;
  for (size_t i = 0; i < options.prompts; ++i) {
    Ids& prompt = out.emplace_back(Ids{model.config().bosToken});
    const auto begin = all.begin() + static_cast<ptrdiff_t>(room * i / options.prompts);
    prompt.insert(prompt.end(), begin, begin + static_cast<ptrdiff_t>(options.promptTokens));
  }
  return out;
}

float gapOf(std::vector<float> logits) {
  std::nth_element(logits.begin(), logits.begin() + 1, logits.end(), std::greater<>());
  return logits[0] - logits[1];
}

Result<Continuation> continuationOf(const Transformer& transformer, const Ids& prompt,
                                    size_t tokens) {
  const ModelConfig& config = transformer.config();
  KvPages pages(config, codec::ElementType::kF32, static_cast<uint32_t>(prompt.size() + tokens));
  std::vector<uint32_t> positions(prompt.size());
  std::iota(positions.begin(), positions.end(), 0);
  SPOLIA_ASSIGN_OR_RETURN(Pass pass, transformer.begin(prompt, positions, OutputRows::kLast));
  transformer.run(pass, pages);
  std::vector<float> logits = transformer.logits(pass, pass.rows() - 1);
  Continuation out;
  for (auto position = static_cast<uint32_t>(prompt.size()); out.answer.size() < tokens;
       ++position) {
    const codec::TokenId token = argmax(logits);
    if (std::ranges::count(config.eosTokens, token) > 0) break;
    out.answer.push_back(token);
    out.gaps.push_back(gapOf(logits));
    SPOLIA_ASSIGN_OR_RETURN(Pass step, transformer.begin({&token, 1}, {&position, 1}));
    transformer.run(step, pages);
    logits = transformer.logits(step, 0);
  }
  return out;
}

Status bench(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(options.model));
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<Ids> prompts, promptsOf(*model, options));
  ThreadPool pool(options.threads);
  const Transformer transformer(*model, pool);
  nlohmann::json out = {{"prompts", prompts}};
  for (const Ids& prompt : prompts) {
    SPOLIA_ASSIGN_OR_RETURN(const Continuation found,
                            continuationOf(transformer, prompt, options.tokens));
    out["answers"].push_back(found.answer);
    out["gaps"].push_back(found.gaps);
  }
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  spolia::engine::Options options;
  CLI::App app("Continues prompts greedily");
  app.add_option("--model", options.model, "Hugging Face directory or GGUF file")->required();
  app.add_option("--text", options.text, "UTF-8 text that prompts are taken from")->required();
  app.add_option("--prompts", options.prompts, "prompts")->check(CLI::PositiveNumber);
  app.add_option("--prompt-tokens", options.promptTokens, "tokens of a prompt")
      ->check(CLI::PositiveNumber);
  app.add_option("--tokens", options.tokens, "tokens of a continuation at most")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "threads")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::engine::bench(options);
  if (!status.ok()) std::fprintf(stderr, "greedy_bench: %s\n", status.toString().c_str());
  return status.ok() ? 0 : 1;
}
