#include "engine/http/api_metrics.h"

#include <fmt/format.h>

namespace spolia::engine {

namespace {

std::string single(const char* kind, const std::string& name, const std::string& help,
                   uint64_t value) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, kind, value);
}

}  // namespace

void AnswerFigures::add(const Provenance& prompt) {
  promptTokens += prompt.rows;
  cachedTokens += prompt.rows - prompt.rowsComputed;
  chunks += prompt.chunks.size();
  chunkHits += prompt.hits();
  bytesRead += prompt.bytesRead;
}

void ApiMetrics::Histogram::add(double value) {
  ++count;
  sum += value;
  for (size_t i = 0; i < kBuckets.size(); ++i) {
    if (value <= kBuckets[i]) {
      ++counts[i];
      return;
    }
  }
}

void ApiMetrics::countRequest(const std::string& route, unsigned status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

void ApiMetrics::countAnswer(const AnswerFigures& figures) {
  const std::lock_guard lock(mutex_);
  promptTokens_ += figures.promptTokens;
  cachedTokens_ += figures.cachedTokens;
  completionTokens_ += figures.completionTokens;
  chunks_ += figures.chunks;
  chunkHits_ += figures.chunkHits;
  bytesRead_ += figures.bytesRead;
  firstToken_.add(figures.firstTokenSeconds);
  total_.add(figures.totalSeconds);
}

void ApiMetrics::countAbandoned() {
  const std::lock_guard lock(mutex_);
  ++abandoned_;
}

std::string ApiMetrics::histogramText(const std::string& name, const std::string& help,
                                      const Histogram& histogram) {
  std::string out = fmt::format("# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  uint64_t sum = 0;
  for (size_t i = 0; i < kBuckets.size(); ++i) {
    sum += histogram.counts[i];
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kBuckets[i], sum);
  }
  return out + fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name,
                           histogram.count, histogram.sum);
}

std::string ApiMetrics::text(const ApiGauges& gauges) const {
  const std::lock_guard lock(mutex_);
  std::string out =
      "# HELP spolia_engine_http_requests_total Requests answered, by route and status.\n"
      "# TYPE spolia_engine_http_requests_total counter\n";
  for (const auto& [key, count] : requests_) {
    out += fmt::format("spolia_engine_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n",
                       key.first, key.second, count);
  }
  const std::string p = "spolia_engine_";
  out += single("counter", p + "abandoned_total", "Answers whose client left.", abandoned_);
  out += single("counter", p + "prompt_tokens_total", "Rows of prompts.", promptTokens_);
  out += single("counter", p + "cached_tokens_total", "Rows of prompts that were loaded.",
                cachedTokens_);
  out += single("counter", p + "completion_tokens_total", "Tokens of answers.", completionTokens_);
  out += single("counter", p + "chunks_total", "Chunks of prompts.", chunks_);
  out += single("counter", p + "chunk_hits_total", "Chunks that were loaded.", chunkHits_);
  out += single("counter", p + "read_bytes_total", "Bytes read from the store.", bytesRead_);
  out += single("gauge", p + "queue_length", "Requests that wait or are answered.", gauges.queued);
  out += single("gauge", p + "connections", "Open connections.", gauges.connections);
  out += single("gauge", p + "decoding", "Requests whose answers are under way.", gauges.decoding);
  out += single("gauge", p + "kv_bytes", "Memory for KV that requests hold, or may find.",
                gauges.kvBytes);
  out += single("gauge", p + "kv_limit_bytes", "Memory for KV that there is.", gauges.kvLimit);
  out += histogramText(p + "time_to_first_token_seconds",
                       "From the complete request to its first token.", firstToken_);
  out +=
      histogramText(p + "request_seconds", "From the complete request to its last token.", total_);
  return out;
}

}  // namespace spolia::engine
