// ApiMetrics: what the API did, for GET /metrics. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/linker/provenance.h"

namespace spolia::engine {

// Of one answered request.
struct AnswerFigures {
  uint32_t promptTokens = 0;
  uint32_t cachedTokens = 0;
  uint32_t completionTokens = 0;
  double firstTokenSeconds = 0;  // from the complete request to the first token
  double totalSeconds = 0;
  size_t chunks = 0;
  size_t chunkHits = 0;
  uint64_t bytesRead = 0;

  // One more prompt of the request.
  void add(const Provenance& prompt);
};

// What is so now, not counted up.
struct ApiGauges {
  size_t queued = 0;
  size_t connections = 0;
  size_t decoding = 0;   // requests whose answers are under way
  uint64_t kvBytes = 0;  // of requests, and of pages kept for later ones
  uint64_t kvLimit = 0;
};

class ApiMetrics {
 public:
  void countRequest(const std::string& route, unsigned status);
  void countAnswer(const AnswerFigures& figures);
  // A client left before its answer was complete.
  void countAbandoned();

  // Prometheus' text format, version 0.0.4: names spolia_engine_*, seconds and bytes.
  std::string text(const ApiGauges& gauges) const;

 private:
  // Upper ends of the buckets, seconds.
  static constexpr std::array<double, 12> kBuckets = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                      0.5,   1,    2.5,   5,    10,  30};
  struct Histogram {
    std::array<uint64_t, kBuckets.size()> counts{};  // not cumulative
    uint64_t count = 0;
    double sum = 0;

    void add(double value);
  };
  static std::string histogramText(const std::string& name, const std::string& help,
                                   const Histogram& histogram);

  mutable std::mutex mutex_;  // guards everything below
  std::map<std::pair<std::string, unsigned>, uint64_t> requests_;
  uint64_t abandoned_ = 0;
  uint64_t promptTokens_ = 0, cachedTokens_ = 0, completionTokens_ = 0;
  uint64_t chunks_ = 0, chunkHits_ = 0, bytesRead_ = 0;
  Histogram firstToken_, total_;
};

}  // namespace spolia::engine
