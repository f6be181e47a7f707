#include "engine/evaluation/evaluator.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "engine/kernels/thread_pool.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/linker/memory_kv_source.h"
#include "engine/scheduler/generation.h"

namespace spolia::engine {

namespace {

std::vector<MethodChoice> withFullFirst(std::vector<MethodChoice> methods) {
  std::erase_if(methods, [](const MethodChoice& m) { return m.method == LinkMethod::kFull; });
  methods.insert(methods.begin(), MethodChoice{LinkMethod::kFull, 0, "full"});
  return methods;
}

// One thread's engine.
class Worker {
 public:
  Worker(const Model& model, const Evaluator::Config& config, const std::vector<Variant>& variants)
      : model_(model), config_(config), variants_(variants), pool_(1), transformer_(model, pool_) {}

  Result<WorldResult> run(const World& world) {
    SPOLIA_ASSIGN_OR_RETURN(const Prompt prompt, promptOf(world));
    WorldResult out;
    out.family = world.family;
    SPOLIA_ASSIGN_OR_RETURN(out.row, dependentRow(world));
    const Variant& full = variants_.front();
    SPOLIA_ASSIGN_OR_RETURN(Trial trial, attempt(prompt, nullptr, full, world.answer));
    out.trials.push_back(std::move(trial));
    for (const PresetChoice& preset : config_.presets) {
      SPOLIA_RETURN_IF_ERROR(runPreset(world, prompt, preset, out));
    }
    return out;
  }

 private:
  Status runPreset(const World& world, const Prompt& prompt, const PresetChoice& preset,
                   WorldResult& out) {
    MemoryKvSource source;
    SPOLIA_ASSIGN_OR_RETURN(const StoredBytes stored, store(prompt, preset, source));
    for (const Variant& variant : variants_) {
      if (variant.preset != preset.name) continue;
      SPOLIA_ASSIGN_OR_RETURN(Trial trial, attempt(prompt, &source, variant, world.answer));
      if (const auto bytes = stored.find(compileModeOf(variant.method.method));
          bytes != stored.end()) {
        trial.storedBytes = bytes->second;
        trial.fp16Bytes = fp16BytesOf(prompt);
      }
      out.trials.push_back(std::move(trial));
    }
    return Status();
  }

  Result<Prompt> promptOf(const World& world) const {
    Prompt prompt = promptWithBos(model_.config().bosToken);
    for (const std::string& chunk : world.chunks) {
      SPOLIA_RETURN_IF_ERROR(
          appendText(prompt, model_.tokenizer(), {SegmentKind::kChunk, "chunk", {}}, chunk));
    }
    SPOLIA_RETURN_IF_ERROR(appendText(prompt, model_.tokenizer(),
                                      {SegmentKind::kFresh, "question", {}},
                                      questionText(config_.questionTemplate, world.question)));
    return prompt;
  }

  using StoredBytes = std::map<codec::CompileMode, uint64_t>;

  uint64_t fp16BytesOf(const Prompt& prompt) const {
    uint64_t tokens = 0;
    for (const PromptSegment& segment : prompt.segments) {
      if (segment.kind == SegmentKind::kChunk) tokens += segment.tokens.size();
    }
    uint64_t values = 0;
    for (const codec::LayerShape& layer : model_.kvShape()) values += 2 * layer.channels();
    return tokens * values * codec::elementSize(codec::ElementType::kF16);
  }

  Result<StoredBytes> store(const Prompt& prompt, const PresetChoice& preset,
                            KvSource& source) const {
    std::set<codec::CompileMode> modes;
    for (const Variant& variant : variants_) {
      // The prefix is stored by answering.
      if (variant.method.method == LinkMethod::kPrefix) continue;
      modes.insert(compileModeOf(variant.method.method));
    }
    codec::ChunkQueue queue;
    StoredBytes stored;
    for (const codec::CompileMode mode : modes) {
      const ChunkCompiler compiler(
          model_, transformer_,
          {preset.preset, config_.pageType, mode, config_.profile, preset.gain});
      for (const PromptSegment& segment : prompt.segments) {
        if (segment.kind != SegmentKind::kChunk) continue;
        SPOLIA_ASSIGN_OR_RETURN(AlignedBuffer stream, compiler.compile(segment.tokens));
        stored[mode] += stream.size();
        source.submitStore(std::move(stream), codec::PutMode::kIfAbsent, 0, queue);
        SPOLIA_RETURN_IF_ERROR(queue.waitPop().status);
      }
    }
    return stored;
  }

  Result<Trial> attempt(const Prompt& prompt, KvSource* source, const Variant& variant,
                        const std::string& expected) {
    Linker::Config linking;
    linking.pageType = config_.pageType;
    linking.profile = config_.profile;
    for (const PresetChoice& preset : config_.presets) {
      if (preset.name == variant.preset) linking.prefixPreset = preset.preset;
    }
    Linker linker(model_, transformer_, pool_, source, linking);
    GenerationOptions options;
    options.link.method = variant.method.method;
    options.link.k = variant.method.k;
    options.sequence.maxTokens = config_.maxTokens;
    if (variant.method.method == LinkMethod::kPrefix) {
      SPOLIA_RETURN_IF_ERROR(answerPrompt(model_, transformer_, linker, prompt, options).status());
    }
    SPOLIA_ASSIGN_OR_RETURN(const Answer answer,
                            answerPrompt(model_, transformer_, linker, prompt, options));
    // A chunk that was computed after all would flatter its method.
    for (const ChunkProvenance& chunk : answer.provenance.chunks) {
      if (source && !chunk.reason.empty()) {
        return Status(ErrorCode::kInternal, variant.method.name + ": a chunk was not loaded: " +
                                                std::string(chunk.reason));
      }
    }
    return Trial{answer.text, answer.text == expected, answer.provenance.rows,
                 answer.provenance.rowsComputed};
  }

  // The row of the token in which the dependent sentence begins.
  Result<std::optional<uint32_t>> dependentRow(const World& world) const {
    if (!world.dependent) return std::optional<uint32_t>();
    const std::string& text = world.chunks[world.dependent->chunk];
    SPOLIA_ASSIGN_OR_RETURN(const auto tokens, model_.tokenizer().encode(text));
    size_t end = 0;
    uint32_t row = 0;
    for (; row < tokens.size(); ++row) {
      end += model_.tokenizer().tokenBytes(tokens[row]).size();
      if (end > world.dependent->character) break;
    }
    return std::optional(row);
  }

  const Model& model_;
  const Evaluator::Config& config_;
  const std::vector<Variant>& variants_;
  ThreadPool pool_;
  Transformer transformer_;
};

// What the threads of a run share.
class Run {
 public:
  Run(const std::vector<World>& worlds, const Evaluator::Progress& progress)
      : worlds_(worlds), progress_(progress), results_(worlds.size()) {}

  void work(Worker& worker) {
    for (size_t i = next_++; i < worlds_.size() && !failed_; i = next_++) {
      Result<WorldResult> result = worker.run(worlds_[i]);
      const std::lock_guard lock(mutex_);
      if (result.ok()) {
        results_[i] = *std::move(result);
        ++done_;
        if (progress_) progress_(done_);
      } else if (!failed_.exchange(true)) {
        failure_ = result.status().withContext("world " + std::to_string(i + 1));
      }
    }
  }

  Result<std::vector<WorldResult>> results() && {
    if (failed_) return failure_;
    return std::move(results_);
  }

 private:
  const std::vector<World>& worlds_;
  const Evaluator::Progress& progress_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::vector<WorldResult> results_;  // each slot is written once, under mutex_
  size_t done_ = 0;                   // under mutex_
  Status failure_;                    // under mutex_
};

}  // namespace

Result<MethodChoice> methodChoiceFromName(std::string_view name, uint32_t k) {
  const size_t colon = name.find(':');
  MethodChoice out;
  out.k = k;
  out.name = name;
  SPOLIA_ASSIGN_OR_RETURN(out.method, linkMethodFromName(name.substr(0, colon)));
  if (colon == std::string_view::npos) return out;
  const std::string_view number = name.substr(colon + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.k);
  constexpr uint32_t kMost = 1'000'000;
  if (out.method != LinkMethod::kFirstK || error != std::errc() ||
      end != number.data() + number.size() || out.k == 0 || out.k > kMost) {
    return Status(ErrorCode::kInvalidArgument,
                  "method \"" + std::string(name) +
                      "\": expected a method, or first-k:N with N from 1 to 1000000");
  }
  return out;
}

Result<PresetChoice> presetChoiceFromName(std::string_view name) {
  const size_t colon = name.find(':');
  PresetChoice out;
  out.name = name;
  SPOLIA_ASSIGN_OR_RETURN(out.preset, codec::presetFromName(name.substr(0, colon)));
  if (colon == std::string_view::npos) return out;
  const std::string_view number = name.substr(colon + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.gain);
  const bool steps = out.preset == codec::Preset::kBalanced || out.preset == codec::Preset::kSmall;
  if (!steps || error != std::errc() || end != number.data() + number.size()) {
    return Status(ErrorCode::kInvalidArgument,
                  "preset \"" + std::string(name) +
                      "\": expected a preset, or balanced:N or small:N with N from -128 to 127");
  }
  return out;
}

Evaluator::Evaluator(const Model& model, Config config)
    : model_(model), config_(std::move(config)) {
  const std::vector<MethodChoice> methods = withFullFirst(config_.methods);
  variants_.push_back({methods.front(), "-"});
  for (const PresetChoice& preset : config_.presets) {
    for (size_t i = 1; i < methods.size(); ++i) {
      variants_.push_back({methods[i], preset.name});
    }
  }
}

Result<Evaluation> Evaluator::run(const std::vector<World>& worlds,
                                  const Progress& progress) const {
  Run run(worlds, progress);
  std::vector<std::thread> threads;
  const auto body = [&] {
    Worker worker(model_, config_, variants_);
    run.work(worker);
  };
  for (unsigned i = 1; i < config_.threads; ++i) threads.emplace_back(body);
  body();
  for (std::thread& thread : threads) thread.join();
  Evaluation out;
  out.variants = variants_;
  SPOLIA_ASSIGN_OR_RETURN(out.worlds, std::move(run).results());
  return out;
}

}  // namespace spolia::engine
