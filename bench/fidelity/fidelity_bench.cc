// Answers of every linking method on generated worlds. Reads worlds as JSON lines from stdin (see
// generator.py), compiles each chunk in isolation, encodes and decodes it, links by each method and
// decodes greedily. Writes a JSON line for each world: family, whether the dependent sentence
// starts inside the first k rows of its chunk, and per method what was answered and whether it is
// right. bench/run fidelity drives it and takes shares and intervals.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/linker/generation.h"
#include "engine/linker/memory_kv_source.h"

namespace spolia::engine {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> methods = {"full", "reuse", "first-k"};
  std::string preset = "high";
  std::string kvType = "bf16";
  uint32_t k = kDefaultFirstK;
  uint32_t maxTokens = 8;
  unsigned threads = 0;
};

class Bench {
 public:
  static Result<std::unique_ptr<Bench>> make(const Options& options) {
    auto out = std::unique_ptr<Bench>(new Bench(options));
    SPOLIA_ASSIGN_OR_RETURN(out->model_, Model::load(options.model));
    out->transformer_ = std::make_unique<Transformer>(*out->model_, out->pool_);
    SPOLIA_ASSIGN_OR_RETURN(out->preset_, codec::presetFromName(options.preset));
    SPOLIA_ASSIGN_OR_RETURN(out->pageType_, codec::elementTypeFromName(options.kvType));
    for (const std::string& name : options.methods) {
      SPOLIA_ASSIGN_OR_RETURN(const LinkMethod method, linkMethodFromName(name));
      out->methods_.push_back(method);
    }
    return out;
  }

  Result<nlohmann::ordered_json> runWorld(const nlohmann::json& world) {
    const auto chunks = world.at("chunks").get<std::vector<std::string>>();
    SPOLIA_ASSIGN_OR_RETURN(const Prompt prompt,
                            promptOf(chunks, world.at("question").get<std::string>()));
    MemoryKvSource source;
    SPOLIA_RETURN_IF_ERROR(store(prompt, source));
    Linker::Config config;
    config.pageType = pageType_;
    Linker linker(*model_, *transformer_, pool_, &source, config);
    const std::string expected = world.at("answer");
    nlohmann::ordered_json out = {{"family", world.at("family")}, {"answer", expected}};
    const uint32_t row = rowOfCharacter(chunks[world.at("dependent_chunk")],
                                        world.at("dependent_char").get<size_t>());
    out["row"] = row;
    out["inside"] = row < options_.k;
    for (LinkMethod method : methods_) {
      GenerationOptions options;
      options.link.method = method;
      options.link.k = options_.k;
      options.maxTokens = options_.maxTokens;
      SPOLIA_ASSIGN_OR_RETURN(const Answer answer,
                              answerPrompt(*model_, *transformer_, linker, prompt, options));
      const size_t wanted = method == LinkMethod::kFull ? 0 : chunks.size();
      if (answer.provenance.hits() != wanted) {
        return Status(ErrorCode::kInternal, "not every chunk was loaded");
      }
      out["given"][std::string(linkMethodName(method))] = answer.text;
      out["right"][std::string(linkMethodName(method))] = answer.text == expected;
      out["rows_computed"][std::string(linkMethodName(method))] = answer.provenance.rowsComputed;
    }
    return out;
  }

 private:
  explicit Bench(const Options& options)
      : options_(options), pool_(options.threads == 0 ? usableCores() : options.threads) {}

  Result<Prompt> promptOf(const std::vector<std::string>& chunks,
                          const std::string& question) const {
    Prompt prompt = promptWithBos(model_->config().bosToken);
    for (const std::string& chunk : chunks) {
      SPOLIA_RETURN_IF_ERROR(
          appendText(prompt, model_->tokenizer(), {SegmentKind::kChunk, "chunk", {}}, chunk));
    }
    SPOLIA_RETURN_IF_ERROR(appendText(prompt, model_->tokenizer(),
                                      {SegmentKind::kFresh, "question", {}},
                                      "Question: " + question + "\nAnswer:"));
    return prompt;
  }

  Status store(const Prompt& prompt, KvSource& source) const {
    const ChunkCompiler compiler(*model_, *transformer_, {preset_, pageType_});
    codec::ChunkQueue queue;
    for (const PromptSegment& segment : prompt.segments) {
      if (segment.kind != SegmentKind::kChunk) continue;
      SPOLIA_ASSIGN_OR_RETURN(AlignedBuffer stream, compiler.compile(segment.tokens));
      source.submitStore(std::move(stream), codec::PutMode::kIfAbsent, 0, queue);
      SPOLIA_RETURN_IF_ERROR(queue.waitPop().status);
    }
    return Status();
  }

  // The row of the token in which a byte of the text stands.
  uint32_t rowOfCharacter(const std::string& text, size_t offset) const {
    const auto tokens = model_->tokenizer().encode(text);
    SPOLIA_CHECK(tokens.ok());
    size_t end = 0;
    for (uint32_t row = 0; row < tokens->size(); ++row) {
      end += model_->tokenizer().tokenBytes((*tokens)[row]).size();
      if (end > offset) return row;
    }
    return static_cast<uint32_t>(tokens->size());
  }

  const Options options_;
  codec::Preset preset_ = codec::Preset::kHigh;
  codec::ElementType pageType_ = codec::ElementType::kBf16;
  std::vector<LinkMethod> methods_;
  std::unique_ptr<Model> model_;
  ThreadPool pool_;
  std::unique_ptr<Transformer> transformer_;
};

int fail(const Status& status) {
  std::fprintf(stderr, "fidelity_bench: %s\n", status.toString().c_str());
  return 1;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Answers of every linking method on worlds read as JSON lines from stdin.");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--methods", options.methods, "with commas between")->delimiter(',');
  app.add_option("--preset", options.preset, "how chunks are encoded");
  app.add_option("--kv-type", options.kvType, "KV pages");
  app.add_option("-k", options.k, "rows first-k computes of each chunk");
  app.add_option("--max-tokens", options.maxTokens, "most tokens of an answer");
  app.add_option("--threads", options.threads, "0: all cores");
  CLI11_PARSE(app, argc, argv);
  auto bench = Bench::make(options);
  if (!bench.ok()) return fail(bench.status());
  for (std::string line; std::getline(std::cin, line);) {
    const auto world = nlohmann::json::parse(line, nullptr, false);
    if (world.is_discarded()) return fail(Status(ErrorCode::kInvalidArgument, "stdin: not JSON"));
    const auto result = (*bench)->runWorld(world);
    if (!result.ok()) return fail(result.status());
    std::printf("%s\n", result->dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  return spolia::engine::run(argc, argv);
}
