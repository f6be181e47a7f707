#include "engine/http/running_answer.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

namespace spolia::engine {

namespace {

// Code points of well-formed UTF-8.
size_t charactersOf(std::string_view text) {
  size_t out = 0;
  for (const char c : text) out += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return out;
}

ApiError errorOf(const Status& failure) {
  if (failure.code() == ErrorCode::kDeadlineExceeded) {
    return {408, "timeout_error", failure.message(), "timeout_ms", "timeout"};
  }
  if (failure.code() == ErrorCode::kResourceExhausted) {
    return {413, "invalid_request_error", failure.message(), {}, "kv_memory_exceeded"};
  }
  if (failure.code() == ErrorCode::kUnavailable) {
    return serverStopping();
  }
  return apiErrorOf(failure);
}

// "disk:3,memory:1", the chunks that were loaded by where they came from.
std::string tiersOf(const Provenance& provenance) {
  std::map<std::string_view, size_t> counts;
  for (const ChunkProvenance& chunk : provenance.chunks) {
    if (chunk.outcome == ChunkOutcome::kLoaded) ++counts[tierName(chunk.tier)];
  }
  std::string out;
  for (const auto& [tier, count] : counts) {
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", tier, count);
  }
  return out.empty() ? "-" : out;
}

// The coarsest level that a chunk was read to.
std::string levelOf(const Provenance& provenance) {
  std::optional<uint8_t> out;
  for (const ChunkProvenance& chunk : provenance.chunks) {
    if (chunk.outcome == ChunkOutcome::kLoaded)
      out = std::min(out.value_or(UINT8_MAX), chunk.level);
  }
  return out ? std::to_string(*out) : "-";
}

}  // namespace

// Of one prompt.
class RunningAnswer::Listener : public RequestListener {
 public:
  Listener(std::shared_ptr<RunningAnswer> answer, size_t prompt)
      : answer_(std::move(answer)), prompt_(prompt) {}

  bool gone() const override { return answer_->gone() || answer_->over(); }
  bool onToken(size_t choice, const ChosenToken& token) override {
    return answer_->onToken(prompt_ * answer_->config_.choices + choice, token);
  }
  void onEnd(Result<ScheduledAnswer> answer) override {
    answer_->onEnd(prompt_, std::move(answer));
  }

 private:
  const std::shared_ptr<RunningAnswer> answer_;
  const size_t prompt_;
};

RunningAnswer::RunningAnswer(const Model& model, ApiMetrics& metrics, Config config,
                             std::shared_ptr<ReplyChannel> channel)
    : model_(model), metrics_(metrics), config_(std::move(config)), channel_(std::move(channel)) {}

RunningAnswer::~RunningAnswer() {
  if (!over_) settle(std::nullopt);
}

double RunningAnswer::msSinceAccepted() const {
  return std::chrono::duration<double, std::milli>(Clock::now() - accepted_).count();
}

std::vector<std::shared_ptr<RequestListener>> RunningAnswer::listeners(
    std::vector<std::vector<std::string>> documents) {
  const std::lock_guard lock(mutex_);
  answer_.seed = config_.seed;
  promptsLeft_ = documents.size();
  std::vector<std::shared_ptr<RequestListener>> out;
  for (auto& names : documents) {
    answer_.prompts.push_back({Provenance(), std::move(names)});
    for (size_t i = 0; i < config_.choices; ++i) {
      choices_.emplace_back(config_.stop);
      answer_.choices.emplace_back();
      if (config_.logprobs) answer_.choices.back().logprobs.emplace();
    }
    out.push_back(std::make_shared<Listener>(shared_from_this(), out.size()));
  }
  return out;
}

bool RunningAnswer::over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

void RunningAnswer::settle(std::optional<double> seconds) {
  over_ = true;
  if (config_.onEnd) config_.onEnd(seconds);
}

void RunningAnswer::refuse(const ApiError& error) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  settle(std::nullopt);
  metrics_.countRequest(config_.route, error.status);
  log(error.code.empty() ? error.message : error.code);
  if (streaming_) {
    channel_->write(errorEvent(error));
    return channel_->end();
  }
  channel_->send(errorResponse(error));
}

void RunningAnswer::abandon() {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  settle(std::nullopt);
  metrics_.countAbandoned();
  log("client left");
}

TokenLogprob RunningAnswer::logprobOf(const ChosenToken& token, size_t offset) const {
  const auto bytes = [&](codec::TokenId id) {
    return std::string(model_.tokenizer().tokenBytes(id));
  };
  TokenLogprob out{bytes(token.token), token.odds->chosen, {}, offset};
  for (const auto& [id, logprob] : token.odds->likeliest) {
    out.likeliest.push_back({bytes(id), logprob});
  }
  return out;
}

void RunningAnswer::beginChoice(size_t choice) {
  if (!config_.stream || choices_[choice].begun) return;
  choices_[choice].begun = true;
  if (!streaming_) channel_->begin("text/event-stream");
  streaming_ = true;
  std::string event = config_.format->begin(config_.head, choice);
  if (!event.empty()) channel_->write(std::move(event));
}

void RunningAnswer::say(size_t choice, const std::string& piece) {
  AnswerChoice& out = answer_.choices[choice];
  out.text += piece;
  if (!config_.stream || piece.empty()) return;
  channel_->write(
      config_.format->piece(config_.head, choice, piece, out.logprobs ? &*out.logprobs : nullptr));
  if (out.logprobs) out.logprobs->clear();
}

bool RunningAnswer::onToken(size_t choice, const ChosenToken& token) {
  const std::lock_guard lock(mutex_);
  if (over_) return false;
  if (!firstToken_) answer_.firstTokenMs = msSinceAccepted();
  firstToken_ = true;
  beginChoice(choice);
  AnswerChoice& out = answer_.choices[choice];
  ++out.completionTokens;
  const std::string_view bytes = model_.tokenizer().tokenBytes(token.token);
  if (token.odds) {
    size_t& characters = choices_[choice].characters;
    out.logprobs->push_back(logprobOf(token, characters));
    characters += charactersOf(replaceIllFormed(bytes));
  }
  AnswerText& text = choices_[choice].text;
  say(choice, text.feed(bytes));
  return !text.stopped() && !channel_->gone();
}

void RunningAnswer::onEnd(size_t prompt, Result<ScheduledAnswer> answer) {
  if (gone()) return abandon();
  if (!answer.ok()) return refuse(errorOf(answer.status()));
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < config_.choices; ++i) {
      const bool full = answer->stopped[i] == StopReason::kMaxTokens;
      answer_.choices[prompt * config_.choices + i].finishReason = full ? "length" : "stop";
    }
  }
  auto linked = std::make_shared<LinkedPrompt>(std::move(answer->linked));
  if (!linked->unstored.empty() && config_.store) {
    const auto done = [self = shared_from_this(), prompt, linked] {
      self->finishPrompt(prompt, std::move(linked->provenance));
    };
    if (config_.store(std::move(answer->linker), *linked, done)) return;
  }
  finishPrompt(prompt, std::move(linked->provenance));
}

void RunningAnswer::finishPrompt(size_t prompt, Provenance provenance) {
  const std::lock_guard lock(mutex_);
  answer_.prompts[prompt].provenance = std::move(provenance);
  if (--promptsLeft_ == 0 && !over_) deliver();
}

void RunningAnswer::deliver() {
  for (size_t i = 0; i < choices_.size(); ++i) {
    beginChoice(i);  // of an answer without a token
    say(i, choices_[i].text.finish());
    const auto& logprobs = answer_.choices[i].logprobs;
    if (config_.stream && logprobs && !logprobs->empty()) {  // of tokens that gave no text
      channel_->write(config_.format->piece(config_.head, i, "", &*logprobs));
    }
  }
  answer_.totalMs = msSinceAccepted();
  if (!firstToken_) answer_.firstTokenMs = answer_.totalMs;
  settle(answer_.totalMs / 1000);
  metrics_.countRequest(config_.route, 200);
  AnswerFigures figures;
  for (const AnsweredPrompt& each : answer_.prompts) figures.add(each.provenance);
  for (const AnswerChoice& choice : answer_.choices) {
    figures.completionTokens += choice.completionTokens;
  }
  figures.firstTokenSeconds = answer_.firstTokenMs / 1000;
  figures.totalSeconds = answer_.totalMs / 1000;
  metrics_.countAnswer(figures);
  log(answer_.choices.front().finishReason);
  if (!config_.stream) {
    HttpResponse response;
    response.body = config_.format->whole(config_.head, answer_);
    return channel_->send(std::move(response));
  }
  for (size_t i = 0; i < choices_.size(); ++i) {
    channel_->write(config_.format->end(config_.head, answer_, i));
  }
  if (config_.includeUsage) channel_->write(config_.format->usage(config_.head, answer_));
  channel_->write(std::string(kDoneEvent));
  channel_->end();
}

// One line a request. What it asked for is not in it.
void RunningAnswer::log(const std::string& reason) const {
  AnswerFigures figures;
  std::string tiers, levels;
  for (const AnsweredPrompt& each : answer_.prompts) {
    figures.add(each.provenance);
    tiers += (tiers.empty() ? "" : ";") + tiersOf(each.provenance);
    levels += (levels.empty() ? "" : ";") + levelOf(each.provenance);
  }
  uint32_t tokens = 0;
  for (const AnswerChoice& choice : answer_.choices) tokens += choice.completionTokens;
  spdlog::info(
      "{}{} rows={} cached={} computed={} chunks={} tiers={} level={} bytes={} tokens={} "
      "ttft_ms={:.1f} "
      "total_ms={:.1f} end=\"{}\"",
      config_.head.id, config_.keyName.empty() ? "" : " key=" + config_.keyName,
      figures.promptTokens, figures.cachedTokens, figures.promptTokens - figures.cachedTokens,
      figures.chunks, tiers.empty() ? "-" : tiers, levels.empty() ? "-" : levels, figures.bytesRead,
      tokens, answer_.firstTokenMs, msSinceAccepted(), reason);
}

}  // namespace spolia::engine
