// How small codecs make the KV of real text, and what the model then says: every scheme over a
// sweep of its scale, judged by KL and agreement with the fp16 cache. Prints one JSON object:
//
//   {"model", "passages", "cached", "continued", "fp16_bytes",
//    "cross_entropy", "removed": {"kl", "top1"},
//    "schemes": {name: {"curve": [{"quality", "bytes", "ratio", "kl", "top1"}],
//                       "ratio_at_kl_0.003", "ratio_at_kl_0.0005": {"ratio", "crossed"} or null}
//                or {"skipped": reason}}}
//
// `removed` is the damage of having no cached rows at all: what the judge can see at most.
// The budget of 0.003 asks for 97 % agreement too.
//
//   codec_quality_bench --model DIR --text FILE --calibration FILE [--profile FILE]... [--passages
//   N]
//     [--calibration-passages N] [--cached N] [--continued N] [--schemes a,b] [--threads N]
//     [--seed N] [--plot FILE]
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/codec/baselines/scheme_list.h"
#include "bench/codec/quality/judging.h"
#include "bench/codec/quality/rate_distortion.h"
#include "bench/codec/rate_distortion_plot.h"
#include "bench/process_figures.h"
#include "engine/gguf/model_loading.h"
#include "engine/profile/profile_file.h"

namespace spolia::bench {
namespace {

constexpr Budget kBudget{0.003, 0.97};
constexpr Budget kFineBudget{0.0005, 0};

struct Options {
  std::filesystem::path model, text, calibration, plot;
  std::vector<std::filesystem::path> profiles;
  PassageOptions passages;
  size_t calibrationPassages = 150;
  std::string schemes;
  unsigned threads = 2;
};

// What all schemes are measured with.
struct Bench {
  engine::ThreadPool& pool;
  const Judge& judge;
  KvShape shape;
  std::vector<KvSample> calibration;

  uint64_t fp16Bytes() const {
    uint64_t bytes = 0;
    for (const KvSample& sample : judge.samples()) bytes += 2 * sample.values.size();
    return bytes;
  }
};

Result<RatePoint> measure(const Bench& bench, Scheme& scheme, double quality) {
  const double start = now();
  scheme.prepare(quality);
  const std::vector<KvSample>& samples = bench.judge.samples();
  std::vector<uint64_t> bytes(samples.size());
  std::vector<std::vector<float>> restored(samples.size());
  bench.pool.parallelFor(samples.size(), [&](size_t i) {
    Outcome outcome = scheme.code(samples[i], quality);
    bytes[i] = outcome.bytes;
    restored[i] = std::move(outcome.restored);
  });
  SPOLIA_ASSIGN_OR_RETURN(const Agreement agreement, bench.judge.compare(restored));
  RatePoint point{quality, 0, 0, agreement.kl, agreement.top1};
  for (const uint64_t count : bytes) point.bytes += count;
  point.ratio = static_cast<double>(bench.fp16Bytes()) / static_cast<double>(point.bytes);
  std::fprintf(stderr, "%s %g: %.2fx, KL %.2g, top-1 %.4f (%.1f s)\n", scheme.name().c_str(),
               quality, point.ratio, point.kl, point.top1, now() - start);
  return point;
}

Result<RateCurve> curveOf(const Bench& bench, Scheme& scheme) {
  SPOLIA_RETURN_IF_ERROR(scheme.calibrate(bench.calibration, bench.shape));
  RateCurve curve{scheme.name(), {}};
  for (const double quality : scheme.qualities()) {
    SPOLIA_ASSIGN_OR_RETURN(const RatePoint point, measure(bench, scheme, quality));
    curve.points.push_back(point);
  }
  return curve;
}

nlohmann::json jsonOf(const std::optional<BudgetRatio>& ratio) {
  if (!ratio) return nullptr;
  return {{"ratio", ratio->ratio}, {"crossed", ratio->crossed}};
}

nlohmann::json jsonOf(const RateCurve& curve) {
  nlohmann::json points = nlohmann::json::array();
  for (const RatePoint& point : curve.points) {
    points.push_back({{"quality", point.quality},
                      {"bytes", point.bytes},
                      {"ratio", point.ratio},
                      {"kl", point.kl},
                      {"top1", point.top1}});
  }
  return {{"curve", points},
          {"ratio_at_kl_0.003", jsonOf(ratioWithin(curve.points, kBudget))},
          {"ratio_at_kl_0.0005", jsonOf(ratioWithin(curve.points, kFineBudget))}};
}

// The schemes one after the other; one that is not for this model is skipped, with the reason.
nlohmann::json compareSchemes(const Bench& bench, std::vector<std::unique_ptr<Scheme>> schemes,
                              std::vector<RateCurve>& curves) {
  nlohmann::json out = nlohmann::json::object();
  for (std::unique_ptr<Scheme>& scheme : schemes) {
    const Result<RateCurve> curve = curveOf(bench, *scheme);
    if (curve.ok()) {
      out[scheme->name()] = jsonOf(*curve);
      curves.push_back(*curve);
    } else {
      out[scheme->name()] = {{"skipped", curve.status().message()}};
    }
    scheme.reset();  // some keep much of the calibration
  }
  return out;
}

Status run(const Options& options) {
  Profiles profiles;
  for (const auto& path : options.profiles) {
    SPOLIA_ASSIGN_OR_RETURN(profiles.emplace_back(), engine::readProfile(path));
  }
  SPOLIA_ASSIGN_OR_RETURN(auto schemes, schemesNamed(options.schemes, profiles));
  engine::ModelLoadOptions loading;
  loading.digestCache.reset();
  SPOLIA_ASSIGN_OR_RETURN(const auto model, engine::loadModel(options.model, loading));
  engine::ThreadPool pool(options.threads);
  const engine::Transformer transformer(*model, pool);

  Judge judge(*model, transformer, pool);
  SPOLIA_ASSIGN_OR_RETURN(auto passages,
                          readPassages(options.text, model->tokenizer(), options.passages));
  PassageOptions calibrating = options.passages;
  calibrating.continued = 0;
  calibrating.most = options.calibrationPassages;
  SPOLIA_ASSIGN_OR_RETURN(const auto calibration,
                          readPassages(options.calibration, model->tokenizer(), calibrating));
  SPOLIA_RETURN_IF_ERROR(judge.setReference(std::move(passages)));
  Bench bench{pool, judge, shapeOf(model->config()), {}};
  SPOLIA_ASSIGN_OR_RETURN(bench.calibration, judge.sample(calibration));
  SPOLIA_ASSIGN_OR_RETURN(const Agreement removed, judge.compareRemoved());
  std::fprintf(stderr, "%zu passages, %zu to calibrate; cross entropy %.3f, removed KL %.3f\n",
               judge.samples().size(), calibration.size(), judge.crossEntropy(), removed.kl);

  std::vector<RateCurve> curves;
  nlohmann::json out = {{"model", options.model.string()},
                        {"passages", judge.samples().size()},
                        {"calibration_passages", calibration.size()},
                        {"cached", options.passages.cached},
                        {"continued", options.passages.continued},
                        {"fp16_bytes", bench.fp16Bytes()},
                        {"cross_entropy", judge.crossEntropy()},
                        {"removed", {{"kl", removed.kl}, {"top1", removed.top1}}}};
  out["schemes"] = compareSchemes(bench, std::move(schemes), curves);
  std::puts(out.dump(1).c_str());
  if (options.plot.empty()) return Status();
  return plotRateDistortion(curves, kBudget.kl, options.plot);
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  spolia::bench::Options options;
  CLI::App app("Size against damage of KV codecs, on real text");
  app.add_option("--model", options.model, "Hugging Face directory")->required();
  app.add_option("--text", options.text, "pages separated by form feeds")->required();
  app.add_option("--calibration", options.calibration, "other pages, to learn from")->required();
  app.add_option("--profile", options.profiles, "of the model: for `balanced` and `small`");
  app.add_option("--passages", options.passages.most);
  app.add_option("--calibration-passages", options.calibrationPassages);
  app.add_option("--cached", options.passages.cached);
  app.add_option("--continued", options.passages.continued)->check(CLI::PositiveNumber);
  app.add_option("--seed", options.passages.seed);
  app.add_option("--schemes", options.schemes, "names, separated by commas; default: all");
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--plot", options.plot, "write the curves there, as a PNG");
  CLI11_PARSE(app, argc, argv);
  const spolia::Status status = spolia::bench::run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "codec_quality_bench: %s\n", status.message().c_str());
  return 1;
}
