// Time to the first token over stored chunks, one measurement a process, so that each is cold: no
// memory tier, O_DIRECT reads. bench/run ttft drives it and takes ratios.
//
//   ttft_bench --model DIR --store DIR prepare   computes and stores the chunks
//   ttft_bench --model DIR full                  {"ms": prefill of everything}
//   ttft_bench --model DIR --store DIR first-k   {"ms": cold, "resident_ms": KV in pages, ...}
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/linker/embedded_kv_source.h"
#include "engine/linker/linker.h"
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
};

[[noreturn]] void die(const Status& status) {
  std::fprintf(stderr, "ttft_bench: %s\n", status.toString().c_str());
  std::exit(1);
}

// Chunks and question of random ids, the same in every process.
Prompt makePrompt(const Options& options, const ModelConfig& config) {
  std::mt19937 rng(7);
  const auto tokens = [&](uint32_t count) {
    std::vector<codec::TokenId> out(count);
    for (codec::TokenId& token : out) token = 3 + rng() % (config.vocabSize - 3);
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

template <typename T>
T orDie(Result<T> result) {
  if (!result.ok()) die(result.status());
  return std::move(result).value();
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
        model_(orDie(Model::load(options.model))),
        prompt_(makePrompt(options, model_->config())),
        pool_(options.threads == 0 ? usableCores() : options.threads),
        transformer_(*model_, pool_) {}

  void prepare() {
    const auto source = openStore();
    const ChunkCompiler compiler(*model_, transformer_,
                                 {orDie(codec::presetFromName(options_.preset)), kPageType});
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

  void firstK() {
    const auto source = openStore();
    warmUp();
    Linker linker(*model_, transformer_, pool_, source.get());
    LinkOptions link;
    link.method = LinkMethod::kFirstK;
    link.k = options_.k;
    Times times;
    LinkedPrompt linked = timed(linker, link, times);
    const Provenance provenance = linked.provenance;
    if (provenance.hits() != options_.chunks) {
      die(Status(ErrorCode::kInternal, "only " + std::to_string(provenance.hits()) +
                                           " chunks were loaded: run prepare first"));
    }
    std::vector<double> resident;
    const double cpuBefore = cpuMilliseconds();
    constexpr int kResidentRuns = 3;
    for (int i = 0; i < kResidentRuns; ++i) {
      resident.push_back(orDie(linker.timeResident(prompt_, link, linked)));
    }
    const double residentCpu = (cpuMilliseconds() - cpuBefore) / kResidentRuns;
    std::ranges::sort(resident);
    print({{"ms", times.ms},
           {"cpu_ms", times.cpuMs},
           {"resident_ms", resident[1]},
           {"resident_cpu_ms", residentCpu},
           {"rows_computed", provenance.rowsComputed},
           {"bytes_read", provenance.bytesRead},
           {"open_ms", provenance.openMs},
           {"waited_ms", provenance.waitedMs}});
  }

 private:
  static constexpr codec::ElementType kPageType = codec::ElementType::kBf16;

  std::unique_ptr<KvSource> openStore() const {
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
  ThreadPool pool_;
  const Transformer transformer_;
  codec::TokenId firstToken_ = 0;
};

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Time to the first token over stored chunks, one measurement a process.");
  app.require_subcommand(1);
  app.add_option("--store", options.store, "directory of the store");
  app.add_option("--threads", options.threads, "0: all cores");
  app.add_option("-k", options.k, "rows first-k computes of each chunk");
  app.add_option("--preset", options.preset, "how prepare encodes");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--chunks", options.chunks, "chunks of the prompt");
  app.add_option("--chunk-tokens", options.chunkTokens, "tokens of a chunk");
  app.add_option("--question-tokens", options.questionTokens, "tokens behind the chunks");
  app.fallthrough();
  auto* prepare = app.add_subcommand("prepare", "computes and stores the chunks");
  auto* full = app.add_subcommand("full", "prefill of everything");
  app.add_subcommand("first-k", "cold, then resident");
  CLI11_PARSE(app, argc, argv);
  Bench bench(options);
  if (*prepare) {
    bench.prepare();
  } else if (*full) {
    bench.full();
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
