// RunningAnswer: from the tokens a scheduler chooses to the reply a client reads, whole or
// streamed. A request may have several prompts, each with several choices.
//
// Held by the listeners of its prompts; lives as long as one of them. Borrows model and metrics.
// Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/http/api_error.h"
#include "engine/http/api_metrics.h"
#include "engine/http/http_types.h"
#include "engine/http/replies/answer_text.h"
#include "engine/http/replies/reply_format.h"
#include "engine/model/model.h"
#include "engine/scheduler/scheduled_request.h"

namespace spolia::engine {

class RunningAnswer : public std::enable_shared_from_this<RunningAnswer> {
 public:
  struct Config {
    const char* route = "";
    const ReplyFormat* format = nullptr;  // outlives it
    ReplyHead head;
    std::string keyName;  // for the log; empty: none
    bool stream = false;
    bool includeUsage = false;
    bool logprobs = false;
    std::vector<std::string> stop;
    std::optional<uint64_t> seed;
    size_t choices = 1;  // of each prompt
    // Stores what may be written back, on another thread, then calls `done`; false: it will not.
    std::function<bool(std::shared_ptr<Linker> linker, LinkedPrompt& linked,
                       std::function<void()> done)>
        store;
    // The reply is about to be complete: with the seconds it took, or none for one that failed.
    std::function<void(std::optional<double> seconds)> onEnd;
  };

  RunningAnswer(const Model& model, ApiMetrics& metrics, Config config,
                std::shared_ptr<ReplyChannel> channel);
  // A request that nothing came of: its client sees the connection close.
  ~RunningAnswer();

  bool gone() const { return channel_->gone(); }
  std::chrono::steady_clock::time_point accepted() const { return accepted_; }

  // Instead of an answer, or in the middle of a stream. Once there was an end nothing happens.
  void refuse(const ApiError& error);
  // Nobody reads it.
  void abandon();

  // The listeners of so many prompts, in order, with the names of their documents. Called once.
  std::vector<std::shared_ptr<RequestListener>> listeners(
      std::vector<std::vector<std::string>> documents);

 private:
  class Listener;
  using Clock = std::chrono::steady_clock;

  // What is heard of one choice so far.
  struct Choice {
    explicit Choice(const std::vector<std::string>& stops) : text(stops) {}
    AnswerText text;
    size_t characters = 0;  // of its tokens
    bool begun = false;     // in the stream
  };

  bool over() const;
  double msSinceAccepted() const;
  bool onToken(size_t choice, const ChosenToken& token);
  void onEnd(size_t prompt, Result<ScheduledAnswer> answer);
  void finishPrompt(size_t prompt, Provenance provenance);
  TokenLogprob logprobOf(const ChosenToken& token, size_t offset) const;
  void beginChoice(size_t choice);
  void say(size_t choice, const std::string& piece);
  void deliver();
  void settle(std::optional<double> seconds);
  void log(const std::string& reason) const;

  const Model& model_;
  ApiMetrics& metrics_;
  const Config config_;
  const std::shared_ptr<ReplyChannel> channel_;
  const Clock::time_point accepted_ = Clock::now();

  mutable std::mutex mutex_;  // guards what follows
  ApiAnswer answer_;
  std::vector<Choice> choices_;
  size_t promptsLeft_ = 0;
  bool streaming_ = false;  // the stream has begun
  bool firstToken_ = false;
  bool over_ = false;  // the reply is complete, or given up
};

}  // namespace spolia::engine
