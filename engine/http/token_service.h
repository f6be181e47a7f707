// TokenService: texts to token ids and back, for clients that count or look for why a prefix is not
// found. Bodies are those of vLLM's routes of the same names. On a thread of its own: a long text
// takes longer than the HTTP server's thread may.
//
// Borrows model and metrics, which outlive it. Any thread.
#pragma once

#include <memory>
#include <string>

#include "engine/http/api_metrics.h"
#include "engine/http/http_types.h"
#include "engine/model/model.h"
#include "engine/scheduler/work_queue.h"

namespace spolia::engine {

class TokenService {
 public:
  static constexpr const char* kTokenize = "/tokenize";
  static constexpr const char* kDetokenize = "/detokenize";

  // The model has a tokenizer. `queue` requests may wait; others get 429.
  TokenService(const Model& model, std::string modelName, ApiMetrics& metrics, size_t queue = 64)
      : model_(model), modelName_(std::move(modelName)), metrics_(metrics), queue_(queue) {}

  // Answers {"prompt": TEXT, "add_special_tokens": true} with {"count", "max_model_len", "tokens"},
  // BOS in front unless that is false; {"tokens": [ID...]} with {"prompt"}. "model" may be left
  // out.
  void submit(const std::string& route, std::string body, std::shared_ptr<ReplyChannel> channel);
  // Answers those that wait; all channels are let go.
  void stop() { queue_.stop(); }

 private:
  HttpResponse answer(const std::string& route, const std::string& body) const;

  const Model& model_;
  const std::string modelName_;
  ApiMetrics& metrics_;
  WorkQueue queue_;  // last: its thread uses the rest
};

}  // namespace spolia::engine
