// ChatService: answers chat and text completions, many at a time. Prompts are made in order of
// arrival on one thread, which alone touches the libraries; a scheduler computes them together; a
// third thread stores what computing left to be stored.
//
// Borrows what its configuration names; those outlive it. submit() from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/http/api_metrics.h"
#include "engine/http/chat_prompt.h"
#include "engine/http/chat_rooms.h"
#include "engine/http/completion_request.h"
#include "engine/http/http_types.h"
#include "engine/http/replies/chat_reply.h"
#include "engine/http/replies/completion_reply.h"
#include "engine/http/running_answer.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/linker.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/work_queue.h"
#include "engine/transformer/forward.h"

namespace spolia::engine {

class ChatService {
 public:
  struct Config {
    std::string modelName;
    ChatPrompts::Config prompts;
    DocumentLibrary::Config library;
    Linker::Config linker;
    LinkOptions link;  // where a request does not tell
    // What requests with a cache salt store in; empty: they are refused.
    std::function<std::unique_ptr<KvSource>(const std::string& salt)> saltedSource = {};
    Scheduler::Config scheduler;
    size_t queue = 64;  // requests that may wait, beside those the scheduler lets in
  };

  ChatService(const Model& model, const Transformer& transformer, ThreadPool& pool,
              KvSource& source, ApiMetrics& metrics, Config config);
  // Finishes the answers that are under way; those that wait get 503. All channels are let go.
  ~ChatService() { stop(); }
  void stop();

  // Takes a parsed request and its channel. An error (404 for another model, 429 for a full queue)
  // is sent at once.
  void submit(ChatRequest request, std::shared_ptr<ReplyChannel> channel);
  void submit(CompletionRequest request, std::shared_ptr<ReplyChannel> channel);
  // Requests that wait or run.
  size_t queued() const { return inService_; }
  SchedulerStats stats() const { return scheduler_.stats(); }

 private:
  // A prompt that can be computed.
  using Prompts = std::vector<ChatPrompt>;
  using MakePrompts = std::function<std::variant<Prompts, ApiError>(ChatRoom& room)>;

  struct Route {
    const char* path;
    const char* idPrefix;
    const ReplyFormat& format;
  };

  void take(const Route& route, const AnswerFields& fields, MakePrompts makePrompts,
            std::shared_ptr<ReplyChannel> channel);
  void run(RunningAnswer& answer, const AnswerFields& fields, const MakePrompts& makePrompts);
  std::variant<Prompts, ApiError> makePrompts(const CompletionRequest& request) const;
  ScheduledRequest scheduled(const AnswerFields& fields, ChatPrompt prompt,
                             std::chrono::steady_clock::time_point deadline) const;
  bool store(std::shared_ptr<Linker> linker, LinkedPrompt& linked, std::function<void()> done);
  void refuseFull(const Route& route, ReplyChannel& channel);
  void ended(std::optional<double> seconds);
  unsigned retrySeconds() const;

  const Model& model_;
  ApiMetrics& metrics_;
  const Config config_;
  const ChatReplies chatReplies_;
  const CompletionReplies completionReplies_;
  const std::shared_ptr<PagePool> pages_;
  ChatRooms rooms_;
  std::atomic<uint64_t> nextId_{0};
  std::atomic<size_t> inService_{0};
  std::atomic<double> answerSeconds_{0};  // of the last ones, on average; 0: none yet
  std::atomic<bool> stopping_{false};
  const uint64_t instance_;  // tells ids of this process from those of others
  WorkQueue storing_;
  Scheduler scheduler_;
  WorkQueue preparing_;  // last: its thread uses the rest
};

}  // namespace spolia::engine
