#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/model/machine_memory.h"

namespace spolia::engine {

namespace {

// Rows of a prompt that go through a layer at a time: products of fewer are slower, the scratch of
// more is larger.
constexpr size_t kBlockRows = 512;
// How often requests are looked at while all of them wait: clients leave without a sound.
constexpr std::chrono::milliseconds kLook{20};

uint64_t pageLimit(uint64_t configuredBytes, const PagePool& pages) {
  const uint64_t bytes = configuredBytes > 0 ? configuredBytes : machineMemory() / 2;
  return std::max<uint64_t>(1, bytes / pages.pageBytes());
}

}  // namespace

// A request and what there is of its answers.
struct Scheduler::Request {
  // One of its answers.
  struct Choice {
    Sequence sequence;
    std::unique_ptr<KvPages> fork;  // of the prompt's pages; null for the first choice
    bool going = true;
  };

  KvPages& pagesOf(const Choice& choice) const {
    return choice.fork ? *choice.fork : *linked.pages;
  }

  void end(Result<ScheduledAnswer> answer) {
    if (ended) return;
    ended = true;
    listener->onEnd(std::move(answer));
  }

  ScheduledRequest asked;
  std::shared_ptr<RequestListener> listener;
  Clock::time_point arrival;
  uint64_t reserved = 0;         // pages for choices that have none yet
  std::unique_ptr<LinkJob> job;  // while the prompt is not complete
  LinkedPrompt linked;           // then
  std::vector<codec::TokenId> prompt;
  std::vector<Choice> choices;
  bool ended = false;
};

Scheduler::Scheduler(const Model& model, const Transformer& transformer, ThreadPool& pool,
                     Linker& linker, PagePool& pages, Config config)
    : model_(model),
      pool_(pool),
      linker_(linker),
      config_(std::move(config)),
      batch_(transformer, config_.policy.maxBatch),
      pages_(pages),
      pageLimit_(pageLimit(config_.kvBytes, pages)),
      thread_([this] { run(); }) {}

Scheduler::~Scheduler() {
  stop();
}

void Scheduler::submit(ScheduledRequest request, std::shared_ptr<RequestListener> listener) {
  auto arrived = std::make_unique<Request>();
  arrived->asked = std::move(request);
  arrived->listener = std::move(listener);
  arrived->arrival = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      ++stats_.waiting;
      arrived_.push_back(std::move(arrived));
      news_ = true;
    }
  }
  if (arrived) return arrived->end(Status(ErrorCode::kUnavailable, "stopping"));
  pool_.notify();
}

void Scheduler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    news_ = true;
  }
  pool_.notify();
  if (thread_.joinable()) thread_.join();
}

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Scheduler::run() {
  while (takeArrivals() || !running_.empty()) {
    dropEnded(waiting_);
    dropEnded(running_);
    admit();
    // A pool without workers leaves decoding of streams to us.
    if (pool_.threads() == 1) pool_.runQueuedTasks();
    const size_t decoded = decode();
    const bool worked = workOnPrompts(decoded) || decoded > 0;
    sweep(running_);
    publish();
    if (!worked) rest();
  }
}

// False when there is nothing to come.
bool Scheduler::takeArrivals() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& request : arrived_) waiting_.push_back(std::move(request));
    arrived_.clear();
    news_ = false;
    if (!stopping_) return true;
  }
  for (const auto& request : waiting_) {
    request->end(Status(ErrorCode::kUnavailable, "stopping"));
  }
  waiting_.clear();
  return false;
}

// Ends what nobody waits for any more, or nobody would wait for any longer.
void Scheduler::dropEnded(Requests& requests) {
  const auto now = Clock::now();
  for (const auto& request : requests) {
    if (request->listener->gone()) {
      request->end(Status(ErrorCode::kCancelled, "the client has left"));
    } else if (now >= request->asked.deadline) {
      request->end(Status(ErrorCode::kDeadlineExceeded, "not answered in the time allowed"));
    }
  }
  sweep(requests);
}

// Frees what has ended.
void Scheduler::sweep(Requests& requests) {
  std::erase_if(requests, [this](const auto& request) {
    if (request->ended) pagesReserved_ -= request->reserved;
    return request->ended;
  });
}

// Pages that hold the request's first rows already.
std::vector<PageRef> Scheduler::sharedPages(const ScheduledRequest& request) {
  if (!config_.sharePrefixes) return {};
  const std::vector<codec::TokenId> tokens = request.prompt.tokens();
  return cached_.find(std::span(tokens).first(shareableRows(request.prompt, request.link.method)),
                      request.salt);
}

// Whole pages of what was computed exactly, for those who come later. `tokens` are the rows there
// are.
void Scheduler::keepPages(const Request& request, const KvPages& pages,
                          std::span<const codec::TokenId> tokens) {
  if (!config_.sharePrefixes) return;
  const bool all = request.linked.exactRows == request.linked.rows;
  const size_t exact =
      all ? tokens.size() : std::min<size_t>(request.linked.exactRows, tokens.size());
  cached_.add(tokens, request.asked.salt, pages.front(exact / PagePool::kPageTokens));
}

// Whether so many pages can be set aside; what is kept for later requests goes first.
bool Scheduler::makeRoom(uint64_t pages) {
  const uint64_t wanted = pages_.taken() + pagesReserved_ + pages;
  if (wanted > pageLimit_) cached_.drop(wanted - pageLimit_);
  return pages_.taken() + pagesReserved_ + pages <= pageLimit_;
}

// Lets in those that wait, in order: what does not fit now holds up those behind it, or it would
// never fit.
void Scheduler::admit() {
  size_t next = 0;
  while (next < waiting_.size() && running_.size() < config_.maxRequests &&
         admit(*waiting_[next])) {
    running_.push_back(std::move(waiting_[next++]));
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(next));
}

// False when it has to wait for memory.
bool Scheduler::admit(Request& request) {
  const ScheduledRequest& asked = request.asked;
  const uint32_t maxTokens = asked.choices.front().maxTokens;
  const uint64_t rows = asked.prompt.rows();
  const uint64_t all = pagesNeeded(rows, maxTokens, asked.choices.size(), PagePool::kPageTokens);
  if (all > pageLimit_) {
    request.end(Status(ErrorCode::kResourceExhausted,
                       "the request needs " + std::to_string(all * pages_.pageBytes()) +
                           " bytes for its KV, this server has " +
                           std::to_string(pageLimit_ * pages_.pageBytes())));
    return true;
  }
  std::vector<PageRef> shared = sharedPages(asked);
  if (!makeRoom(all - shared.size())) return false;
  LinkOptions link = asked.link;
  link.spareRows = maxTokens;
  link.blockRows = kBlockRows;
  Linker& linker = asked.linker ? *asked.linker : linker_;
  auto job = linker.start(asked.prompt, link, std::move(shared));
  if (!job.ok()) {
    request.end(job.status());
    return true;
  }
  request.job = *std::move(job);
  request.reserved = all - PagePool::pagesFor(rows + maxTokens);
  pagesReserved_ += request.reserved;
  return true;
}

// A step of the answers under way; how many rows it had.
size_t Scheduler::decode() {
  std::vector<std::pair<Request*, size_t>> going;
  for (const auto& request : running_) {
    for (size_t i = 0; i < request->choices.size(); ++i) {
      if (request->choices[i].going && !request->ended) going.emplace_back(request.get(), i);
    }
  }
  if (going.empty()) return 0;
  const std::vector<size_t> order = decodeOrder(going.size(), nextRow_, config_.policy);
  nextRow_ = (order.back() + 1) % going.size();
  std::vector<DecodeRow> rows;
  for (const size_t i : order) {
    const auto& [request, choice] = going[i];
    const Request::Choice& answer = request->choices[choice];
    rows.push_back(answer.sequence.row(request->pagesOf(answer)));
  }
  const MatrixView logits = batch_.step(rows);
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto& [request, choice] = going[order[r]];
    advance(*request, choice, {logits.row(r), logits.columns()});
  }
  ++steps_;
  stepRows_ += rows.size();
  return rows.size();
}

// The next token of one answer; the request ends with its last answer.
void Scheduler::advance(Request& request, size_t choice, std::span<const float> logits) {
  Request::Choice& answer = request.choices[choice];
  const ChosenToken chosen = answer.sequence.choose(logits);
  answer.going = answer.sequence.take(
      chosen, [&](const ChosenToken& token) { return request.listener->onToken(choice, token); });
  if (std::ranges::any_of(request.choices, &Request::Choice::going)) return;
  ScheduledAnswer out;
  for (const Request::Choice& each : request.choices) {
    out.stopped.push_back(each.sequence.stopped());
    std::vector<codec::TokenId> tokens = request.prompt;
    // The last token was chosen, its row not computed.
    const auto& said = each.sequence.tokens();
    if (!said.empty()) tokens.insert(tokens.end(), said.begin(), said.end() - 1);
    keepPages(request, request.pagesOf(each), tokens);
  }
  out.linked = std::move(request.linked);
  out.linker = request.asked.linker;
  request.end(std::move(out));
}

bool Scheduler::workOnPrompts(size_t decoded) {
  std::vector<Request*> prompts;
  std::vector<PromptState> states;
  for (const auto& request : running_) {
    if (!request->job || request->ended) continue;
    prompts.push_back(request.get());
    states.push_back(
        {request->arrival.time_since_epoch(), request->job->loads(), request->job->canStep()});
  }
  uint64_t budget = promptWork(decoded, model_.config().layers, config_.policy);
  bool worked = false;
  for (const size_t i : promptOrder(states, config_.policy)) {
    worked = workOn(*prompts[i], budget) || worked;
    if (budget == 0) break;
  }
  return worked;
}

// True when the prompt is further than before; takes from `budget` what it cost.
bool Scheduler::workOn(Request& request, uint64_t& budget) {
  bool worked = false;
  while (budget > 0) {
    const Result<LinkStep> step = request.job->step(std::min<uint64_t>(budget, kBlockRows));
    if (!step.ok()) {
      request.end(step.status());
      return true;
    }
    budget -= std::min<uint64_t>(budget, step->rows);
    if (step->state == LinkState::kWaiting) return worked;
    worked = true;
    if (step->state == LinkState::kDone) {
      beginAnswers(request);
      return true;
    }
  }
  return worked;
}

void Scheduler::beginAnswers(Request& request) {
  request.linked = request.job->take();
  request.job.reset();
  request.prompt = request.asked.prompt.tokens();
  keepPages(request, *request.linked.pages, request.prompt);
  pagesReserved_ -= std::exchange(request.reserved, 0);
  for (const SequenceOptions& options : request.asked.choices) {
    std::unique_ptr<KvPages> fork;
    if (!request.choices.empty()) fork = request.linked.pages->fork(request.linked.rows);
    request.choices.push_back({Sequence(model_, options, request.prompt), std::move(fork), true});
  }
  const std::vector<float> logits = std::move(request.linked.logits);
  for (size_t i = 0; i < request.choices.size(); ++i) advance(request, i, logits);
}

// Until something arrives, or it is time to look.
void Scheduler::rest() {
  auto at = Clock::time_point::max();
  if (!waiting_.empty() || !running_.empty()) at = Clock::now() + kLook;
  for (const auto& request : running_) {
    if (request->job) at = std::min(at, request->job->lateAt());
  }
  linker_.waitUntil(at, [this] {
    return news_ || std::ranges::any_of(running_, [](const auto& request) {
             return request->job && request->job->canStep();
           });
  });
}

void Scheduler::publish() {
  SchedulerStats now;
  for (const auto& request : running_) ++(request->job ? now.prompts : now.decoding);
  now.pagesTaken = pages_.taken();
  now.pagesCached = cached_.size();
  now.pagesLimit = pageLimit_;
  now.pageBytes = pages_.pageBytes();
  now.decodeSteps = steps_;
  now.decodedRows = stepRows_;
  const std::lock_guard lock(mutex_);
  now.waiting = waiting_.size() + arrived_.size();
  stats_ = now;
}

}  // namespace spolia::engine
