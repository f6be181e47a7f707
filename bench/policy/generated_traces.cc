#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <random>

#include "bench/policy/trace.h"

namespace spolia::bench {
namespace {

using Random = std::mt19937_64;

// std distributions differ between libraries; these give the same traces everywhere.
double uniform(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}
double exponential(Random& random, double mean) {
  return -mean * std::log1p(-uniform(random));
}
double normal(Random& random) {
  return std::sqrt(2 * exponential(random, 1)) * std::cos(2 * M_PI * uniform(random));
}
uint64_t logNormal(Random& random, double median, double sigma) {
  return static_cast<uint64_t>(median * std::exp(sigma * normal(random)));
}

class Zipf {
 public:
  Zipf(size_t items, double exponent) : sums_(items) {
    double sum = 0;
    for (size_t i = 0; i < items; ++i) {
      sums_[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
    }
  }
  size_t draw(Random& random) const {
    const double at = uniform(random) * sums_.back();
    return std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin();
  }

 private:
  std::vector<double> sums_;
};

class Builder {
 public:
  explicit Builder(const char* name) { trace_.name = name; }

  Block newBlock(uint32_t tokens) { return {trace_.blocks++, tokens}; }
  // A document of up to `tokens` tokens in chunks of at most 256.
  std::vector<Block> document(uint64_t tokens) {
    std::vector<Block> out;
    for (uint64_t left = std::max<uint64_t>(16, tokens); left > 0;) {
      out.push_back(newBlock(static_cast<uint32_t>(std::min<uint64_t>(256, left))));
      left -= out.back().tokens;
    }
    return out;
  }
  void add(Request request) { trace_.requests.push_back(std::move(request)); }
  Trace finish() {
    std::stable_sort(trace_.requests.begin(), trace_.requests.end(),
                     [](const Request& a, const Request& b) { return a.timeMs < b.timeMs; });
    return std::move(trace_);
  }

 private:
  Trace trace_;
};

void append(std::vector<Block>& to, const std::vector<Block>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<std::vector<Block>> library(Builder& builder, Random& random, size_t documents) {
  std::vector<std::vector<Block>> out(documents);
  for (auto& document : out) document = builder.document(logNormal(random, 700, 1.0));
  return out;
}

}  // namespace

Trace zipfDocuments(uint32_t requests, uint64_t seed) {
  Random random(seed);
  Builder builder("zipf");
  auto documents = library(builder, random, requests / 2 + 10);
  const Zipf popularity(documents.size(), 0.9);
  double time = 0;
  for (uint32_t i = 0; i < requests; ++i) {
    if (i % 4 == 0)
      std::swap(documents[popularity.draw(random)], documents[popularity.draw(random)]);
    time += exponential(random, 500);
    Request request{.timeMs = static_cast<uint64_t>(time), .session = i, .blocks = {}};
    for (int k = 0; k < 4; ++k) append(request.blocks, documents[popularity.draw(random)]);
    builder.add(std::move(request));
  }
  return builder.finish();
}

Trace scansOverHotSet(uint32_t requests, uint64_t seed) {
  Random random(seed);
  Builder builder("scans");
  const auto hot = library(builder, random, requests / 10 + 10);
  const Zipf popularity(hot.size(), 0.7);
  double time = 0;
  for (uint32_t i = 0; i < requests; ++i) {
    time += exponential(random, 500);
    Request request{.timeMs = static_cast<uint64_t>(time), .session = i, .blocks = {}};
    if (i % 1000 >= 600 && i % 1000 < 800) {
      append(request.blocks, builder.document(logNormal(random, 4000, 0.5)));
    } else {
      for (int k = 0; k < 2; ++k) append(request.blocks, hot[popularity.draw(random)]);
    }
    builder.add(std::move(request));
  }
  return builder.finish();
}

Trace conversations(uint32_t requests, uint64_t seed) {
  Random random(seed);
  Builder builder("conversations");
  std::vector<std::vector<Block>> prompts;
  for (int i = 0; i < 8; ++i) prompts.push_back(builder.document(256 * (2 + 3 * i)));
  const Zipf popularity(prompts.size(), 1.0);
  double start = 0;
  uint32_t made = 0;
  for (uint32_t session = 0; made < requests; ++session) {
    start += exponential(random, 2000);
    Request turn{.session = session, .chained = true, .blocks = prompts[popularity.draw(random)]};
    double time = start;
    const double goesOn = 0.3 + 0.65 * uniform(random);
    const double thinkMs = 1000 * static_cast<double>(20 + logNormal(random, 60, 0.7));
    do {
      append(turn.blocks, builder.document(256 * (1 + logNormal(random, 3, 1.0))));
      turn.timeMs = static_cast<uint64_t>(time);
      builder.add(turn);
      ++made;
      time += thinkMs * std::exp(0.8 * normal(random)) * (uniform(random) < 0.05 ? 60 : 1);
    } while (turn.blocks.size() < 400 && uniform(random) < goesOn);
  }
  return builder.finish();
}

}  // namespace spolia::bench
