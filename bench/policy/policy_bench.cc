// Recompute time saved by each eviction policy on one trace, at several cache sizes. Parameters are
// chosen by what they save in the first half of the requests; what is reported is the second half,
// with the cache as the first left it. Prints one JSON object.
//
//   policy_bench --trace FILE | --generated zipf|scans|conversations [--requests N] [--seed S]
//                [--per-token S] [--per-pair S] [--bootstrap N] [--smoke]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <unordered_map>

#include "bench/policy/offline_bound.h"
#include "bench/policy/variants.h"

namespace spolia::bench {
namespace {

constexpr double kShares[] = {0.10, 0.25, 0.50};
constexpr const char* kOurs = "value";
// Parameters that save no more than this are no better than those tried before them.
constexpr double kBetter = 1.0001;

struct Options {
  std::string trace, generated;
  uint32_t requests = 20000, bootstrap = 2000;
  uint64_t seed = 1;
  bool smoke = false;
  CostModel cost;
};

// What one policy, with the parameters that served it best in the first half, saved.
struct Outcome {
  std::string label;
  double firstHalf = 0, secondHalf = 0;
  std::vector<double> saved;  // by request
};

double sum(const std::vector<double>& values, size_t from, size_t to) {
  return std::accumulate(values.begin() + from, values.begin() + to, 0.0);
}

using Outcomes = std::map<std::string, Outcome>;

Outcomes compare(const Trace& trace, const Options& options, uint64_t capacity) {
  Outcomes best;
  const size_t half = trace.requests.size() / 2;
  for (const Variant& variant : variants(options.smoke)) {
    auto policy = store::makePolicy(variant.policy, capacity, variant.params);
    Outcome outcome{.label = variant.label,
                    .saved = replay(trace, options.cost, variant.order, **policy)};
    outcome.firstHalf = sum(outcome.saved, 0, half);
    outcome.secondHalf = sum(outcome.saved, half, outcome.saved.size());
    Outcome& before = best[variant.policy];
    std::fprintf(stderr, "  %-8s %-32s %10.1f %10.1f\n", variant.policy.c_str(),
                 variant.label.c_str(), outcome.firstHalf, outcome.secondHalf);
    if (outcome.firstHalf > kBetter * before.firstHalf) before = std::move(outcome);
  }
  return best;
}

// The best other policy is the one that saved most in the second half: the hardest to beat.
const Outcome& bestOther(const Outcomes& outcomes) {
  const Outcome* best = nullptr;
  for (const auto& [name, outcome] : outcomes) {
    if (name != kOurs && (!best || outcome.secondHalf > best->secondHalf)) best = &outcome;
  }
  return *best;
}

struct Interval {
  double low, high;
};

// Sessions of the second half drawn with replacement; `ratios` turns sums of columns into a figure.
class Bootstrap {
 public:
  Bootstrap(const Trace& trace, uint32_t rounds, uint64_t seed) : random_(seed) {
    const size_t half = trace.requests.size() / 2;
    std::unordered_map<uint32_t, uint32_t> numbers;
    for (size_t i = half; i < trace.requests.size(); ++i) {
      sessionOf_.push_back(
          numbers.try_emplace(trace.requests[i].session, numbers.size()).first->second);
    }
    sessions_ = numbers.size(), rounds_ = rounds, half_ = half;
  }

  // By session, what requests of the second half saved.
  std::vector<double> bySession(const std::vector<double>& saved) const {
    std::vector<double> out(sessions_);
    for (size_t i = 0; i < sessionOf_.size(); ++i) out[sessionOf_[i]] += saved[half_ + i];
    return out;
  }

  // 95 % interval of the mean, over pairs, of sum(ours) / sum(other).
  using Pair = std::pair<std::vector<double>, std::vector<double>>;
  Interval meanRatio(const std::vector<Pair>& pairs) {
    std::vector<double> means;
    std::vector<uint32_t> drawn(sessions_);
    for (uint32_t round = 0; round < rounds_; ++round) {
      for (uint32_t& session : drawn) session = static_cast<uint32_t>(random_() % sessions_);
      double mean = 0;
      for (const Pair& pair : pairs) mean += ratio(pair, drawn) / static_cast<double>(pairs.size());
      means.push_back(mean);
    }
    std::sort(means.begin(), means.end());
    return {means[means.size() * 25 / 1000], means[means.size() * 975 / 1000]};
  }

 private:
  static double ratio(const Pair& pair, const std::vector<uint32_t>& drawn) {
    double ours = 0, other = 0;
    for (const uint32_t session : drawn) ours += pair.first[session], other += pair.second[session];
    return ours / other;
  }

  std::mt19937_64 random_;
  size_t sessions_, half_;
  uint32_t rounds_;
  std::vector<uint32_t> sessionOf_;
};

double askedFor(const Trace& trace, const CostModel& cost, size_t from) {
  double out = 0;
  for (size_t i = from; i < trace.requests.size(); ++i) {
    uint64_t context = 0;
    for (const Block& block : trace.requests[i].blocks) {
      out += cost.seconds(block.tokens, context);
      if (trace.requests[i].chained) context += block.tokens;
    }
  }
  return out;
}

nlohmann::json report(const Trace& trace, const Options& options) {
  const uint64_t footprint = footprintBytes(trace, options.cost);
  const size_t half = trace.requests.size() / 2;
  Bootstrap bootstrap(trace, options.bootstrap, options.seed);
  nlohmann::json out = {{"trace", trace.name},
                        {"requests", trace.requests.size()},
                        {"blocks", trace.blocks},
                        {"footprint_bytes", footprint},
                        {"seconds_asked", askedFor(trace, options.cost, half)}};
  std::vector<Bootstrap::Pair> pairs;
  double mean = 0;
  for (const double share : kShares) {
    const auto capacity = static_cast<uint64_t>(static_cast<double>(footprint) * share);
    std::fprintf(stderr, "%s, %.0f %% of %.1f GB\n", trace.name.c_str(), 100 * share,
                 1e-9 * static_cast<double>(footprint));
    const Outcomes outcomes = compare(trace, options, capacity);
    const Outcome &ours = outcomes.at(kOurs), &other = bestOther(outcomes);
    pairs.emplace_back(bootstrap.bySession(ours.saved), bootstrap.bySession(other.saved));
    const Interval interval = bootstrap.meanRatio({pairs.back()});
    const std::vector<double> belady = beladySaved(trace, options.cost, capacity);
    const double best = sum(belady, half, belady.size());
    const double ratio = ours.secondHalf / other.secondHalf;
    nlohmann::json size = {
        {"share", share},
        {"capacity_bytes", capacity},
        {"saved_vs_best_other", ratio},
        {"low", interval.low},
        {"high", interval.high},
        {"belady_seconds", best},
        {"bound_seconds", savedBound(trace, options.cost, capacity, half)},
        {"gap_closed", (ours.secondHalf - other.secondHalf) / (best - other.secondHalf)}};
    for (const auto& [name, outcome] : outcomes) {
      size["policies"][name] = {{"params", outcome.label}, {"seconds", outcome.secondHalf}};
    }
    out["sizes"].push_back(size);
    mean += ratio / std::size(kShares);
  }
  const Interval interval = bootstrap.meanRatio(pairs);
  out["mean"] = {{"saved_vs_best_other", mean}, {"low", interval.low}, {"high", interval.high}};
  return out;
}

Result<Trace> chooseTrace(const Options& options) {
  if (!options.trace.empty()) return readMooncake(options.trace);
  if (options.generated == "zipf") return zipfDocuments(options.requests, options.seed);
  if (options.generated == "scans") return scansOverHotSet(options.requests, options.seed);
  return conversations(options.requests, options.seed);
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  using namespace spolia::bench;
  Options options;
  CLI::App app("Recompute time saved by eviction policies");
  app.add_option("--trace", options.trace, "file in Mooncake's format");
  app.add_option("--generated", options.generated, "zipf, scans or conversations")
      ->check(CLI::IsMember({"zipf", "scans", "conversations"}))
      ->excludes("--trace");
  app.add_option("--requests", options.requests, "of a generated trace")
      ->check(CLI::Range(100, 10000000));
  app.add_option("--seed", options.seed, "of a generated trace and of the bootstrap");
  app.add_option("--per-token", options.cost.perToken, "seconds a token");
  app.add_option("--per-pair", options.cost.perPair, "seconds a pair of tokens");
  app.add_option("--bootstrap", options.bootstrap, "rounds")->check(CLI::Range(100, 100000));
  app.add_flag("--smoke", options.smoke, "few parameters");
  CLI11_PARSE(app, argc, argv);
  const auto trace = chooseTrace(options);
  if (!trace) {
    std::fprintf(stderr, "policy_bench: %s\n", trace.status().message().c_str());
    return 1;
  }
  std::printf("%s\n", report(*trace, options).dump(1).c_str());
}
