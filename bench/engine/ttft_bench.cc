// Time to the first token over stored chunks, one measurement a process, so that each is cold: no
// memory tier, O_DIRECT reads. bench/run ttft drives it and takes ratios.
//
//   ttft_bench --model DIR --store DIR prepare   computes and stores the chunks
//   ttft_bench --model DIR full                  {"ms": prefill of everything}
//   ttft_bench --model DIR --store DIR first-k   {"ms": cold, "resident_ms": KV in pages, ...}
//
// With --cache the chunks are a spoliad's; `prepare-raw` and `raw` are the same two for KV in fp16
// without a codec (raw_chunks.h).
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "bench/engine/raw_chunks.h"
#include "engine/engine_parts.h"
#include "engine/gguf/model_loading.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/linker/embedded_kv_source.h"
#include "engine/linker/linker.h"
#include "engine/linker/remote_kv_source.h"
#include "engine/profile/profile_file.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  std::string store;
  uint32_t chunks = 16;
  uint32_t chunkTokens = 256;
  uint32_t questionTokens = 24;
  unsigned threads = 0;
  uint32_t k = kDefaultFirstK;
  std::string preset = "high";
  std::string cache;
  std::string profile;
  std::string text;
  uint32_t levels = 2;
};

[[noreturn]] void die(const Status& status) {
  std::fprintf(stderr, "ttft_bench: %s\n", status.toString().c_str());
  std::exit(1);
}

template <typename T>
T orDie(Result<T> result) {
  if (!result.ok()) die(result.status());
  return std::move(result).value();
}

// The ids a prompt takes in turn: of a file's text, over and over.
std::vector<codec::TokenId> idsOfText(const std::string& path, const Tokenizer& tokenizer) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto ids = orDie(tokenizer.encode(text));
  if (ids.empty()) die(Status(ErrorCode::kNotFound, path + ": no text"));
  return ids;
}

// Chunks and question, the same in every process: random ids, or those of a text.
Prompt makePrompt(const Options& options, const Model& model) {
  const ModelConfig& config = model.config();
  std::vector<codec::TokenId> given;
  if (!options.text.empty()) given = idsOfText(options.text, model.tokenizer());
  size_t taken = 0;
  std::mt19937 rng(7);
  const auto tokens = [&](uint32_t count) {
    std::vector<codec::TokenId> out(count);
    for (codec::TokenId& token : out) {
      token = given.empty() ? 3 + rng() % (config.vocabSize - 3) : given[taken++ % given.size()];
    }
    return out;
  };
  Prompt prompt = promptWithBos(config.bosToken);
  for (uint32_t i = 0; i < options.chunks; ++i) {
    prompt.segments.push_back(
        {SegmentKind::kChunk, std::to_string(i), tokens(options.chunkTokens)});
  }
  prompt.segments.push_back({SegmentKind::kFresh, "question", tokens(options.questionTokens)});
  return prompt;
}

// Processor time of the process: what a busy machine distorts least.
double cpuMilliseconds() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

struct Times {
  double ms = 0;
  double cpuMs = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        model_(orDie(loadModel(options.model))),
        prompt_(makePrompt(options, *model_)),
        profile_(options.profile.empty() ? nullptr : orDie(readProfile(options.profile))),
        pool_(options.threads == 0 ? usableCores() : options.threads),
        transformer_(*model_, pool_) {}

  void prepare() {
    const auto source = openStore();
    const ChunkCompiler compiler(*model_, transformer_,
                                 {orDie(codec::presetFromName(options_.preset)), kPageType,
                                  codec::CompileMode::kBos, profile_});
    codec::ChunkQueue queue;
    uint64_t bytes = 0;
    for (const PromptSegment& segment : prompt_.segments) {
      if (segment.kind != SegmentKind::kChunk) continue;
      AlignedBuffer stream = orDie(compiler.compile(segment.tokens));
      bytes += stream.size();
      source->submitStore(std::move(stream), codec::PutMode::kIfAbsent, 0, queue);
      if (const auto done = queue.waitPop(); !done.status.ok()) die(done.status);
    }
    print({{"stored_bytes", bytes}});
  }

  void full() {
    warmUp();
    Linker linker(*model_, transformer_, pool_, nullptr);
    LinkOptions link;
    link.method = LinkMethod::kFull;
    Times times;
    const LinkedPrompt linked = timed(linker, link, times);
    print({{"ms", times.ms}, {"cpu_ms", times.cpuMs}, {"rows", linked.rows}});
  }

  void prepareRaw() {
    const auto source = openStore();
    print({{"stored_bytes", orDie(rawOver(*source).store(prompt_))}});
  }

  void raw() {
    const auto source = openStore();
    warmUp();
    const double cpuBefore = cpuMilliseconds();
    const auto start = Clock::now();
    const bench::RawChunks::Linked linked = orDie(rawOver(*source).link(prompt_, options_.k));
    firstToken_ = argmax(linked.logits);
    print({{"ms", std::chrono::duration<double, std::milli>(Clock::now() - start).count()},
           {"cpu_ms", cpuMilliseconds() - cpuBefore},
           {"rows_computed", linked.rowsComputed},
           {"bytes_read", linked.bytesRead}});
  }

  void firstK() {
    const auto source = openStore();
    warmUp();
    Linker::Config config;
    config.profile = profile_;
    config.maxLevel = static_cast<uint8_t>(options_.levels - 1);
    Linker linker(*model_, transformer_, pool_, source.get(), config);
    LinkOptions link;
    link.method = LinkMethod::kFirstK;
    link.k = options_.k;
    link.patience = std::chrono::minutes(1);
    Times times;
    LinkedPrompt linked = timed(linker, link, times);
    const Provenance provenance = linked.provenance;
    if (provenance.hits() != options_.chunks) {
      die(Status(ErrorCode::kInternal, "only " + std::to_string(provenance.hits()) +
                                           " chunks were loaded: run prepare first"));
    }
    nlohmann::ordered_json out = {{"ms", times.ms},
                                  {"cpu_ms", times.cpuMs},
                                  {"rows_computed", provenance.rowsComputed},
                                  {"bytes_read", provenance.bytesRead},
                                  {"open_ms", provenance.openMs},
                                  {"waited_ms", provenance.waitedMs}};
    if (options_.cache.empty()) addResident(linker, link, linked, out);
    print(std::move(out));
  }

 private:
  static constexpr codec::ElementType kPageType = codec::ElementType::kBf16;

  void addResident(Linker& linker, const LinkOptions& link, LinkedPrompt& linked,
                   nlohmann::ordered_json& out) {
    std::vector<double> resident;
    const double cpuBefore = cpuMilliseconds();
    constexpr int kResidentRuns = 3;
    for (int i = 0; i < kResidentRuns; ++i) {
      resident.push_back(orDie(linker.timeResident(prompt_, link, linked)));
    }
    out["resident_cpu_ms"] = (cpuMilliseconds() - cpuBefore) / kResidentRuns;
    std::ranges::sort(resident);
    out["resident_ms"] = resident[1];
  }

  bench::RawChunks rawOver(KvSource& source) { return {*model_, transformer_, pool_, source}; }

  std::unique_ptr<KvSource> openStore() const {
    if (!options_.cache.empty()) {
      RemoteKvConfig config;
      config.address = options_.cache;
      config.modelName = "ttft_bench";
      config.descriptor = model_->descriptor();
      return orDie(openRemoteKvSource(config));
    }
    EmbeddedStoreConfig config;
    config.directory = options_.store;
    config.segmentBytes = 64 << 20;
    config.capacityBytes = 512 << 20;
    return orDie(openEmbeddedKvSource(config));
  }

  // Threads, frequency and code pages; nothing of the prompt or the store.
  void warmUp() {
    Linker linker(*model_, transformer_, pool_, nullptr);
    Prompt prompt = promptWithBos(model_->config().bosToken);
    prompt.segments.push_back(prompt_.segments.back());
    orDie(linker.link(prompt, {}));
  }

  LinkedPrompt timed(Linker& linker, const LinkOptions& link, Times& times) {
    const double cpuBefore = cpuMilliseconds();
    const auto start = Clock::now();
    LinkedPrompt linked = orDie(linker.link(prompt_, link));
    firstToken_ = argmax(linked.logits);
    times.ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    times.cpuMs = cpuMilliseconds() - cpuBefore;
    return linked;
  }

  void print(nlohmann::ordered_json out) {
    out["first_token"] = firstToken_;
    out["threads"] = pool_.threads();
    std::printf("%s\n", out.dump().c_str());
  }

  const Options options_;
  const std::unique_ptr<Model> model_;
  const Prompt prompt_;
  const std::shared_ptr<const codec::Profile> profile_;
  ThreadPool pool_;
  const Transformer transformer_;
  codec::TokenId firstToken_ = 0;
};

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Time to the first token over stored chunks, one measurement a process.");
  app.require_subcommand(1);
  app.add_option("--store", options.store, "directory of the store");
  app.add_option("--cache", options.cache, "spolia://host:port, instead of a store");
  app.add_option("--threads", options.threads, "0: all cores");
  app.add_option("-k", options.k, "rows first-k computes of each chunk");
  app.add_option("--preset", options.preset, "how prepare encodes");
  app.add_option("--profile", options.profile, "of the model, where the preset needs one");
  app.add_option("--levels", options.levels, "how many levels first-k reads")
      ->check(CLI::Range(1, 255));
  app.add_option("--text", options.text, "what the prompt says; without: random ids");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--chunks", options.chunks, "chunks of the prompt");
  app.add_option("--chunk-tokens", options.chunkTokens, "tokens of a chunk");
  app.add_option("--question-tokens", options.questionTokens, "tokens behind the chunks");
  app.fallthrough();
  auto* prepare = app.add_subcommand("prepare", "computes and stores the chunks");
  auto* full = app.add_subcommand("full", "prefill of everything");
  app.add_subcommand("first-k", "cold, then resident");
  auto* prepareRaw = app.add_subcommand("prepare-raw", "computes the chunks, stores them as fp16");
  auto* raw = app.add_subcommand("raw", "first-k over those");
  CLI11_PARSE(app, argc, argv);
  Bench bench(options);
  if (*prepare) {
    bench.prepare();
  } else if (*full) {
    bench.full();
  } else if (*prepareRaw) {
    bench.prepareRaw();
  } else if (*raw) {
    bench.raw();
  } else {
    bench.firstK();
  }
  return 0;
}

}  // namespace
}  // namespace spolia::engine

int main(int argc, char** argv) {
  return spolia::engine::run(argc, argv);
}
