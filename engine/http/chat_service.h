// ChatService: answers chat requests, one at a time and in order, on a thread of its own, which is
// also the only one that touches library and linker.
//
// Borrows what its configuration names; those outlive it. submit() from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "engine/http/api_metrics.h"
#include "engine/http/chat_prompt.h"
#include "engine/http/chat_reply.h"
#include "engine/http/http_types.h"
#include "engine/http/work_queue.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/generation.h"
#include "engine/linker/linker.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

class ChatService {
 public:
  struct Config {
    std::string modelName;
    ChatPrompts::Config prompts;
    DocumentLibrary::Config library;
    Linker::Config linker;
    LinkOptions link;   // where a request does not tell
    size_t queue = 64;  // requests that may wait
  };

  ChatService(const Model& model, const Transformer& transformer, ThreadPool& pool,
              KvSource& source, ApiMetrics& metrics, Config config);
  // Finishes the answer that is under way; those that wait get 503. All channels are let go.
  ~ChatService() { stop(); }
  void stop();

  // Takes a parsed request and its channel. An error (404 for another model, 429 for a full queue)
  // is sent at once.
  void submit(ChatRequest request, std::shared_ptr<ReplyChannel> channel);

  size_t queued() const { return queue_.size(); }

 private:
  struct Job;
  using Clock = std::chrono::steady_clock;

  void run(Job& job);
  void answer(Job& job, const ChatPrompt& prompt);
  TokenLogprob logprobOf(const ChosenToken& token) const;
  void refuse(Job& job, const ApiError& error);
  void deliver(Job& job, const ChatAnswer& answer);

  const Model& model_;
  const Transformer& transformer_;
  ApiMetrics& metrics_;
  const Config config_;
  DocumentLibrary library_;
  ChatPrompts prompts_;
  Linker linker_;
  std::atomic<uint64_t> nextId_{0};
  std::atomic<bool> stopping_{false};
  const uint64_t instance_;  // tells ids of this process from those of others
  WorkQueue queue_;          // last: its thread uses the rest
};

}  // namespace spolia::engine
