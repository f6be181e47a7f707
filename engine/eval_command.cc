#include "engine/eval_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/engine_parts.h"
#include "engine/evaluation/accuracy_plot.h"
#include "engine/evaluation/eval_report.h"
#include "engine/exit_codes.h"
#include "engine/gguf/model_loading.h"

namespace spolia::engine {

namespace {

Result<std::vector<World>> worldsOf(const std::string& path) {
  if (path == "-") return readWorlds(std::cin, "stdin");
  std::ifstream file(path);
  if (!file) return Status(ErrorCode::kNotFound, path + ": cannot be opened");
  return readWorlds(file, path);
}

Result<Evaluator::Config> configOf(const EngineConfig& config, const EvalRequest& request) {
  Evaluator::Config out;
  for (const std::string& name : request.methods) {
    Result<MethodChoice> method = methodChoiceFromName(name, config.k);
    if (!method.ok()) return method.status().withContext("--methods");
    out.methods.push_back(*std::move(method));
  }
  for (const std::string& name : request.presets) {
    Result<PresetChoice> preset = presetChoiceFromName(name);
    if (!preset.ok()) return preset.status().withContext("--presets");
    out.presets.push_back(*std::move(preset));
  }
  out.pageType = config.kvType;
  out.questionTemplate = config.questionTemplate;
  out.maxTokens = config.maxTokens;
  out.threads = config.threads == 0 ? usableCores() : config.threads;
  return out;
}

Status writeAnswers(const Evaluation& evaluation, const std::filesystem::path& path) {
  std::ofstream file(path);
  for (const WorldResult& world : evaluation.worlds) {
    nlohmann::ordered_json line = {{"family", world.family}};
    if (world.row) line["row"] = *world.row;
    for (size_t i = 0; i < evaluation.variants.size(); ++i) {
      const Variant& variant = evaluation.variants[i];
      const Trial& trial = world.trials[i];
      line["trials"].push_back({{"method", variant.method.name},
                                {"preset", variant.preset},
                                {"given", trial.given},
                                {"right", trial.right},
                                {"rows", trial.rows},
                                {"rows_computed", trial.rowsComputed}});
    }
    file << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  }
  if (!file.flush()) return Status(ErrorCode::kIoError, path.string() + ": cannot be written");
  return Status();
}

// On a terminal only.
void showProgress(size_t done, size_t total) {
  if (::isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r{} of {} worlds{}", done, total, done == total ? "\n" : "");
}

Status evaluate(const EngineConfig& config, const EvalRequest& request) {
  SPOLIA_ASSIGN_OR_RETURN(Evaluator::Config choice, configOf(config, request));
  if (config.model.empty()) {
    return Status(ErrorCode::kInvalidArgument, "no model: expected --model PATH");
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<World> worlds, worldsOf(request.worlds));
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                          loadModel(config.model, {.numerics = config.numerics}));
  SPOLIA_ASSIGN_OR_RETURN(choice.profile, profileFor(config, *model));
  const Evaluator evaluator(*model, choice);
  const auto show = [&](size_t done) { showProgress(done, worlds.size()); };
  SPOLIA_ASSIGN_OR_RETURN(const Evaluation evaluation, evaluator.run(worlds, show));
  const std::vector<Score> scores = scoresOf(evaluation, config.k);
  if (request.json) {
    fmt::print("{}\n", scoreJson(evaluation, scores, config.k).dump(1));
  } else {
    fmt::print("{}", scoreTable(evaluation, scores));
  }
  if (!request.answers.empty()) SPOLIA_RETURN_IF_ERROR(writeAnswers(evaluation, request.answers));
  if (request.plot.empty()) return Status();
  const std::string title = fmt::format("{} worlds, k = {}", worlds.size(), config.k);
  return writePlot(curvesOf(evaluation, scores), title, request.plot);
}

}  // namespace

int runEval(const EngineConfig& config, const EvalRequest& request) {
  const Status status = evaluate(config, request);
  if (status.ok()) return kExitOk;
  fmt::print(stderr, "spolia-engine: {}\n", status.message());
  return exitCodeOf(status.code());
}

}  // namespace spolia::engine
