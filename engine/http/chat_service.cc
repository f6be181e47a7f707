#include "engine/http/chat_service.h"

#include <fmt/format.h>

#include <random>

#include "engine/http/answer_text.h"

namespace spolia::engine {

namespace {

constexpr const char* kRoute = "/v1/chat/completions";
constexpr unsigned kRetrySeconds = 1;
const ApiError kStopping{503, "server_error", "this server is stopping", {}, "stopping"};

}  // namespace

struct ChatService::Job {
  ChatRequest request;
  std::shared_ptr<ReplyChannel> channel;
  ReplyHead head;
  Clock::time_point accepted;
  bool streaming = false;

  double msSinceAccepted() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - accepted).count();
  }
};

ChatService::ChatService(const Model& model, const Transformer& transformer, ThreadPool& pool,
                         KvSource& source, ApiMetrics& metrics, Config config)
    : model_(model),
      transformer_(transformer),
      metrics_(metrics),
      config_(std::move(config)),
      library_(model, transformer, source, config_.library),
      prompts_(model, library_, config_.prompts),
      linker_(model, transformer, pool, &source, config_.linker),
      instance_(std::random_device()()),
      queue_(config_.queue) {}

void ChatService::stop() {
  stopping_ = true;
  queue_.stop();
}

void ChatService::submit(ChatRequest request, std::shared_ptr<ReplyChannel> channel) {
  auto job = std::make_shared<Job>();
  job->accepted = Clock::now();
  job->channel = std::move(channel);
  if (request.model != config_.modelName) {
    return refuse(*job, modelNotFound(request.model, config_.modelName));
  }
  job->head = {fmt::format("chatcmpl-{:08x}{:08x}", instance_, nextId_++),
               std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()),
               config_.modelName};
  job->request = std::move(request);
  if (!queue_.submit([this, job] { run(*job); })) {
    if (stopping_) return refuse(*job, kStopping);
    refuse(*job, {429,
                  "rate_limit_error",
                  fmt::format("{} requests are waiting already; try again later", config_.queue),
                  {},
                  "queue_full"});
  }
}

void ChatService::refuse(Job& job, const ApiError& error) {
  metrics_.countRequest(kRoute, error.status);
  if (job.streaming) {
    job.channel->write(errorEvent(error));
    return job.channel->end();
  }
  HttpResponse response = errorResponse(error);
  if (error.status == 429) response.retryAfterSeconds = kRetrySeconds;
  job.channel->send(std::move(response));
}

void ChatService::run(Job& job) {
  if (job.channel->gone()) return metrics_.countAbandoned();
  if (stopping_) return refuse(job, kStopping);
  std::variant<ChatPrompt, ApiError> prompt = prompts_.make(job.request);
  if (const auto* error = std::get_if<ApiError>(&prompt)) return refuse(job, *error);
  answer(job, std::get<ChatPrompt>(prompt));
}

TokenLogprob ChatService::logprobOf(const ChosenToken& token) const {
  const auto bytes = [&](codec::TokenId id) {
    return std::string(model_.tokenizer().tokenBytes(id));
  };
  TokenLogprob out{bytes(token.token), token.odds->chosen, {}};
  for (const auto& [id, logprob] : token.odds->likeliest)
    out.likeliest.push_back({bytes(id), logprob});
  return out;
}

void ChatService::answer(Job& job, const ChatPrompt& prompt) {
  GenerationOptions options;
  options.link = config_.link;
  options.link.method = job.request.method.value_or(options.link.method);
  options.link.k = job.request.k.value_or(options.link.k);
  if (job.request.patienceMs) {
    options.link.patience = std::chrono::milliseconds(*job.request.patienceMs);
  }
  options.maxTokens = prompts_.maxTokensOf(job.request);
  options.sampling = job.request.sampling;
  options.odds = job.request.logprobs;
  AnswerText text(job.request.stop);
  ChatAnswer out;
  if (!options.sampling.greedy()) out.seed = options.sampling.seed;
  if (options.odds) out.logprobs.emplace();
  const auto say = [&](const std::string& piece) {
    out.text += piece;
    if (!job.streaming || piece.empty()) return;
    job.channel->write(textEvent(job.head, piece, out.logprobs ? &*out.logprobs : nullptr));
    if (out.logprobs) out.logprobs->clear();
  };
  options.onToken = [&](const ChosenToken& token, double) {
    if (out.completionTokens++ == 0) {
      out.firstTokenMs = job.msSinceAccepted();
      if (job.request.stream) {
        job.streaming = true;
        job.channel->begin("text/event-stream");
        job.channel->write(roleEvent(job.head));
      }
    }
    if (token.odds) out.logprobs->push_back(logprobOf(token));
    say(text.feed(model_.tokenizer().tokenBytes(token.token)));
    return !text.stopped() && !job.channel->gone();
  };
  Result<Answer> answer = answerPrompt(model_, transformer_, linker_, prompt.prompt, options);
  if (job.channel->gone()) return metrics_.countAbandoned();
  if (!answer.ok()) return refuse(job, apiErrorOf(answer.status()));
  say(text.finish());
  if (job.streaming && out.logprobs && !out.logprobs->empty()) {  // of tokens that gave no text
    job.channel->write(textEvent(job.head, "", &*out.logprobs));
  }
  out.finishReason = answer->stopped == StopReason::kMaxTokens ? "length" : "stop";
  out.provenance = std::move(answer->provenance);
  out.documents = prompt.documents;
  out.totalMs = job.msSinceAccepted();
  if (out.completionTokens == 0) out.firstTokenMs = out.totalMs;
  deliver(job, out);
}

void ChatService::deliver(Job& job, const ChatAnswer& answer) {
  metrics_.countRequest(kRoute, 200);
  metrics_.countAnswer(
      {answer.provenance.rows, answer.provenance.rows - answer.provenance.rowsComputed,
       answer.completionTokens, answer.firstTokenMs / 1000, answer.totalMs / 1000,
       answer.provenance.chunks.size(), answer.provenance.hits(), answer.provenance.bytesRead});
  if (!job.request.stream) {
    HttpResponse response;
    response.body = completionText(job.head, answer);
    return job.channel->send(std::move(response));
  }
  if (!job.streaming) {  // an answer without a token
    job.channel->begin("text/event-stream");
    job.channel->write(roleEvent(job.head));
  }
  job.channel->write(endEvent(job.head, answer));
  if (job.request.includeUsage) job.channel->write(usageEvent(job.head, answer));
  job.channel->write(std::string(kDoneEvent));
  job.channel->end();
}

}  // namespace spolia::engine
