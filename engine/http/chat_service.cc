#include "engine/http/chat_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace spolia::engine {

namespace {

Linker::Config withPool(Linker::Config config, PagePool& pages) {
  config.pool = &pages;
  return config;
}

ChatRooms::Config roomsOf(const ChatService::Config& config, PagePool& pages) {
  return {config.prompts, config.library, withPool(config.linker, pages), config.saltedSource};
}

constexpr const char* kChatRoute = "/v1/chat/completions";
constexpr const char* kCompletionRoute = "/v1/completions";

}  // namespace

ChatService::ChatService(const Model& model, const Transformer& transformer, ThreadPool& pool,
                         KvSource& source, ApiMetrics& metrics, Config config)
    : model_(model),
      metrics_(metrics),
      config_(std::move(config)),
      pages_(PagePool::create(model.config(), config_.linker.pageType)),
      rooms_(model, transformer, pool, source, roomsOf(config_, *pages_)),
      instance_(std::random_device()()),
      storing_(config_.scheduler.maxRequests),
      scheduler_(model, transformer, pool, rooms_.shared().linker, *pages_, config_.scheduler),
      preparing_(config_.scheduler.maxRequests + config_.queue) {}

void ChatService::stop() {
  stopping_ = true;
  preparing_.stop();
  scheduler_.stop();
  storing_.stop();
}

void ChatService::submit(ChatRequest request, std::shared_ptr<ReplyChannel> channel) {
  const auto shared = std::make_shared<const ChatRequest>(std::move(request));
  const auto make = [shared](ChatRoom& room) -> std::variant<Prompts, ApiError> {
    std::variant<ChatPrompt, ApiError> prompt = room.prompts.make(*shared);
    if (auto* error = std::get_if<ApiError>(&prompt)) return std::move(*error);
    Prompts out;
    out.push_back(std::get<ChatPrompt>(std::move(prompt)));
    return out;
  };
  take({kChatRoute, "chatcmpl", chatReplies_}, *shared, make, std::move(channel));
}

void ChatService::submit(CompletionRequest request, std::shared_ptr<ReplyChannel> channel) {
  const auto shared = std::make_shared<const CompletionRequest>(std::move(request));
  const auto make = [this, shared](ChatRoom&) { return makePrompts(*shared); };
  take({kCompletionRoute, "cmpl", completionReplies_}, *shared, make, std::move(channel));
}

// On the caller's thread: admission only.
void ChatService::take(const Route& route, const AnswerFields& fields, MakePrompts makePrompts,
                       std::shared_ptr<ReplyChannel> channel) {
  const auto refuse = [&](const ApiError& error) {
    metrics_.countRequest(route.path, error.status);
    channel->send(errorResponse(error));
  };
  if (fields.model != config_.modelName) {
    return refuse(modelNotFound(fields.model, config_.modelName));
  }
  if (stopping_) return refuse(serverStopping());
  if (++inService_ > config_.scheduler.maxRequests + config_.queue) {
    --inService_;
    return refuseFull(route, *channel);
  }
  RunningAnswer::Config config;
  config.route = route.path;
  config.format = &route.format;
  config.head = {fmt::format("{}-{:08x}{:08x}", route.idPrefix, instance_, nextId_++),
                 std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()),
                 config_.modelName};
  config.keyName = fields.keyName;
  config.stream = fields.stream;
  config.includeUsage = fields.includeUsage;
  config.logprobs = fields.logprobs.has_value();
  config.stop = fields.stop;
  if (!fields.sampling.greedy()) config.seed = fields.sampling.seed;
  config.choices = fields.choices;
  config.store = [this](std::shared_ptr<Linker> linker, LinkedPrompt& linked,
                        std::function<void()> done) {
    return store(std::move(linker), linked, std::move(done));
  };
  config.onEnd = [this](std::optional<double> seconds) { ended(seconds); };
  auto answer = std::make_shared<RunningAnswer>(model_, metrics_, std::move(config), channel);
  const bool taken = preparing_.submit(
      [this, answer, fields, make = std::move(makePrompts)] { run(*answer, fields, make); });
  if (!taken) answer->refuse(serverStopping());
}

void ChatService::refuseFull(const Route& route, ReplyChannel& channel) {
  metrics_.countRequest(route.path, 429);
  HttpResponse response =
      errorResponse({429,
                     "rate_limit_error",
                     fmt::format("{} requests are waiting already; try again later", config_.queue),
                     {},
                     "queue_full"});
  response.retryAfterSeconds = retrySeconds();
  channel.send(std::move(response));
}

// By when a place in the queue comes free: the queue moves as fast as answers end.
unsigned ChatService::retrySeconds() const {
  constexpr double kMost = 60;
  const double answersAtOnce = static_cast<double>(config_.scheduler.maxRequests);
  const double waiting = static_cast<double>(config_.queue);
  const double seconds = answerSeconds_ * std::max(1.0, waiting / answersAtOnce) / 2;
  return static_cast<unsigned>(std::clamp(std::ceil(seconds), 1.0, kMost));
}

void ChatService::ended(std::optional<double> seconds) {
  --inService_;
  if (!seconds) return;
  // Recent answers count most. Two that end at the same time may lose one: it is an estimate.
  const double before = answerSeconds_;
  answerSeconds_ = before == 0 ? *seconds : before + (*seconds - before) / 8;
}

// On the preparing thread.
void ChatService::run(RunningAnswer& answer, const AnswerFields& fields,
                      const MakePrompts& makePrompts) {
  if (answer.gone()) return answer.abandon();
  if (stopping_) return answer.refuse(serverStopping());
  const std::shared_ptr<ChatRoom> room = rooms_.of(fields.keyName, fields.cacheSalt);
  if (!room) {
    ApiError error = badField("cache_salt", "no cache_salt here: the store keeps no entries apart");
    error.code = "unsupported_value";
    return answer.refuse(error);
  }
  std::variant<Prompts, ApiError> made = makePrompts(*room);
  if (const auto* error = std::get_if<ApiError>(&made)) return answer.refuse(*error);
  auto& prompts = std::get<Prompts>(made);
  std::vector<std::vector<std::string>> documents;
  for (ChatPrompt& prompt : prompts) documents.push_back(std::move(prompt.documents));
  const auto deadline = fields.timeoutMs
                            ? answer.accepted() + std::chrono::milliseconds(*fields.timeoutMs)
                            : std::chrono::steady_clock::time_point::max();
  const auto listeners = answer.listeners(std::move(documents));
  for (size_t i = 0; i < prompts.size(); ++i) {
    ScheduledRequest request = scheduled(fields, std::move(prompts[i]), deadline);
    request.salt = room->salt;
    request.linker = std::shared_ptr<Linker>(room, &room->linker);
    scheduler_.submit(std::move(request), listeners[i]);
  }
}

ScheduledRequest ChatService::scheduled(const AnswerFields& fields, ChatPrompt prompt,
                                        std::chrono::steady_clock::time_point deadline) const {
  ScheduledRequest out;
  out.prompt = std::move(prompt.prompt);
  out.deadline = deadline;
  out.link = config_.link;
  out.link.method = fields.method.value_or(out.link.method);
  out.link.k = fields.k.value_or(out.link.k);
  if (fields.patienceMs) out.link.patience = std::chrono::milliseconds(*fields.patienceMs);
  SequenceOptions options;
  options.maxTokens = fields.maxTokens.value_or(config_.prompts.maxTokens);
  options.sampling = fields.sampling;
  options.odds = fields.logprobs;
  options.stopAtNewline = prompt.oneLine;
  for (uint32_t i = 0; i < fields.choices; ++i, ++options.sampling.seed) {
    out.choices.push_back(options);
  }
  return out;
}

// Text completions: BOS, if there is none, and the prompt as it is.
std::variant<ChatService::Prompts, ApiError> ChatService::makePrompts(
    const CompletionRequest& request) const {
  Prompts out;
  const codec::TokenId bos = model_.config().bosToken;
  for (const CompletionPrompt& asked : request.prompts) {
    ChatPrompt made;
    made.prompt = promptWithBos(bos);
    PromptSegment segment{SegmentKind::kFresh, "prompt", {}};
    if (const auto* text = std::get_if<std::string>(&asked)) {
      const Status added = appendText(made.prompt, model_.tokenizer(), std::move(segment), *text);
      if (!added.ok()) return apiErrorOf(added, "prompt");
    } else {
      segment.tokens = std::get<std::vector<codec::TokenId>>(asked);
      for (const codec::TokenId token : segment.tokens) {
        if (token < model_.config().vocabSize) continue;
        return badField("prompt", fmt::format("prompt has token {}, expected ids below {}", token,
                                              model_.config().vocabSize));
      }
      if (segment.tokens.front() == bos) segment.tokens.erase(segment.tokens.begin());
      if (!segment.tokens.empty()) made.prompt.segments.push_back(std::move(segment));
    }
    const uint64_t rows = made.prompt.rows();
    const uint64_t answer = request.maxTokens.value_or(config_.prompts.maxTokens);
    if (rows + answer > model_.config().maxPositions) {
      return contextExceeded("prompt", rows, answer, model_.config().maxPositions);
    }
    out.push_back(std::move(made));
  }
  return out;
}

bool ChatService::store(std::shared_ptr<Linker> linker, LinkedPrompt& linked,
                        std::function<void()> done) {
  return storing_.submit([linker = std::move(linker), &linked, done = std::move(done)] {
    linker->writeBack(linked);
    done();
  });
}

}  // namespace spolia::engine
