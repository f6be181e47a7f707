#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "engine/linker/chunk_compiler.h"
#include "engine/scheduler/generation.h"
#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

using Tokens = std::vector<codec::TokenId>;
constexpr auto kPages = codec::ElementType::kBf16;

// Keeps what it hears. Leaves, if asked to, when it has heard so many tokens.
class FakeListener : public RequestListener {
 public:
  explicit FakeListener(size_t leaveAfter = SIZE_MAX) : leaveAfter_(leaveAfter) {}

  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return heard_ >= leaveAfter_;
  }
  bool onToken(size_t choice, const ChosenToken& token) override {
    const std::lock_guard lock(mutex_);
    if (tokens_.size() <= choice) tokens_.resize(choice + 1);
    tokens_[choice].push_back(token.token);
    ++heard_;
    changed_.notify_all();
    return true;
  }
  void onEnd(Result<ScheduledAnswer> answer) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(end_.has_value()) << "there is one end";
    end_.emplace(answer.ok() ? Status() : answer.status());
    if (answer.ok()) answer_ = *std::move(answer);
    changed_.notify_all();
  }

  void leave() {
    const std::lock_guard lock(mutex_);
    leaveAfter_ = 0;
  }
  Status end() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(120), [&] { return !!end_; }));
    return end_.value_or(Status(ErrorCode::kInternal, "no end"));
  }
  void waitForTokens(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(120), [&] { return heard_ >= count; }));
  }
  Tokens tokens(size_t choice = 0) {
    const std::lock_guard lock(mutex_);
    return choice < tokens_.size() ? tokens_[choice] : Tokens();
  }
  Provenance provenance() {
    const std::lock_guard lock(mutex_);
    return answer_.linked.provenance;
  }
  // Lets go of the answer's pages.
  void forget() {
    const std::lock_guard lock(mutex_);
    answer_ = ScheduledAnswer();
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }

 private:
  size_t leaveAfter_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Tokens> tokens_;
  size_t heard_ = 0;
  std::optional<Status> end_;
  ScheduledAnswer answer_;
};

class SchedulerTest : public ::testing::Test {
 protected:
  void start(Scheduler::Config config = {}) {
    scheduler_.reset();
    scheduler_.emplace(*model_, transformer_, pool_, linker_, *pages_, config);
  }
  // BOS and fresh text.
  Prompt text(uint32_t rows, uint64_t seed) const {
    Prompt out = promptWithBos(model_->config().bosToken);
    out.segments.push_back(
        {SegmentKind::kFresh, "text", test::randomTokens(model_->config(), rows, seed)});
    return out;
  }
  // The same with a chunk of 50 rows in front that the source has.
  Prompt withChunk(uint64_t seed) {
    Prompt out = text(20, seed);
    out.segments.insert(
        out.segments.begin() + 1,
        {SegmentKind::kChunk, "chunk", test::randomTokens(model_->config(), 50, seed + 1000)});
    const ChunkCompiler compiler(*model_, transformer_,
                                 {codec::Preset::kLossless, kPages, codec::CompileMode::kBos, {}});
    codec::ChunkQueue queue;
    source_.submitStore(compiler.compile(out.segments[1].tokens).value(), codec::PutMode::kIfAbsent,
                        0, queue);
    EXPECT_TRUE(queue.waitPop().status.ok());
    return out;
  }
  ScheduledRequest request(Prompt prompt, uint32_t maxTokens = 10, size_t choices = 1) const {
    ScheduledRequest out;
    out.prompt = std::move(prompt);
    out.link.patience = std::chrono::minutes(10);
    SequenceOptions options;
    options.maxTokens = maxTokens;
    options.stopAtNewline = false;
    out.choices.assign(choices, options);
    for (size_t i = 0; i < choices; ++i) {
      out.choices[i].sampling.temperature = choices > 1 ? 5 : 0;
      out.choices[i].sampling.seed = i;
    }
    return out;
  }
  std::shared_ptr<FakeListener> submit(ScheduledRequest request, size_t leaveAfter = SIZE_MAX) {
    auto listener = std::make_shared<FakeListener>(leaveAfter);
    scheduler_->submit(std::move(request), listener);
    return listener;
  }
  // What the request's first choice is alone, by itself and without a pool.
  Tokens alone(const ScheduledRequest& request, size_t choice = 0) {
    Linker linker(*model_, transformer_, pool_, &source_, {kPages, 1, 1});
    GenerationOptions options;
    options.link = request.link;
    options.sequence = request.choices[choice];
    return answerPrompt(*model_, transformer_, linker, request.prompt, options).value().tokens;
  }
  // Until nothing is under way.
  SchedulerStats idle() {
    for (;;) {
      const SchedulerStats stats = scheduler_->stats();
      if (stats.waiting + stats.prompts + stats.decoding == 0) return stats;
      std::this_thread::yield();
    }
  }
  static Linker::Config linking(PagePool& pages) {
    Linker::Config config{kPages, 1, 1};
    config.pool = &pages;
    return config;
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 5);
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_, Rounding::kInvariant};
  FakeKvSource source_{1};
  const std::shared_ptr<PagePool> pages_ = PagePool::create(model_->config(), kPages);
  Linker linker_{*model_, transformer_, pool_, &source_, linking(*pages_)};
  std::optional<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, ManyAtATimeAreEachWhatTheyAreAlone) {
  std::vector<ScheduledRequest> requests;
  for (uint64_t i = 0; i < 12; ++i) {
    requests.push_back(i % 3 == 0 ? request(withChunk(i), 8)
                                  : request(text(static_cast<uint32_t>(5 + 37 * i), i), 5 + i % 7));
  }
  std::vector<Tokens> wanted;
  for (const ScheduledRequest& each : requests) wanted.push_back(alone(each));
  for (const uint32_t batch : {1u, 5u, 32u}) {
    Scheduler::Config config;
    config.policy.maxBatch = batch;
    config.policy.tokenBudget = 40;
    config.maxRequests = 8;
    start(config);
    std::vector<std::shared_ptr<FakeListener>> listeners;
    for (const ScheduledRequest& each : requests) listeners.push_back(submit(each));
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(listeners[i]->end().ok()) << listeners[i]->end().toString();
      EXPECT_EQ(listeners[i]->tokens(), wanted[i]) << i;
    }
    const SchedulerStats stats = idle();
    EXPECT_GE(stats.decodedRows, stats.decodeSteps);
    if (batch > 1) {
      EXPECT_LT(stats.decodeSteps, stats.decodedRows) << "steps had several rows";
    }
  }
}

TEST_F(SchedulerTest, WhatIsHeldUpHoldsUpNobodyElse) {
  const Prompt held = withChunk(1), other = withChunk(2);
  const uint32_t before = source_.opens();
  source_.onOpen = [=](const ChunkId&, uint32_t nth) {
    return nth == before ? Fault::kHeld : Fault::kNone;
  };
  start();
  const auto first = submit(request(held));
  while (source_.opens() == before) std::this_thread::yield();
  EXPECT_TRUE(submit(request(text(30, 3)))->end().ok());
  const auto second = submit(request(other));
  EXPECT_TRUE(second->end().ok());
  EXPECT_EQ(second->provenance().hits(), 1u);
  EXPECT_FALSE(first->ended());
  source_.release();
  EXPECT_TRUE(first->end().ok());
  EXPECT_EQ(first->provenance().hits(), 1u);
}

// In the queue, while loading, while computing, while decoding: pages go back to the pool.
TEST_F(SchedulerTest, WhoLeavesFreesEverything) {
  const Prompt held = withChunk(1);
  const uint32_t before = source_.opens();
  source_.onOpen = [](const ChunkId&, uint32_t) { return Fault::kHeld; };
  Scheduler::Config config;
  config.maxRequests = 2;
  config.sharePrefixes = false;
  start(config);
  const auto loading = submit(request(held));
  while (source_.opens() == before) std::this_thread::yield();
  const auto decoding = submit(request(text(20, 1), 900));
  decoding->waitForTokens(3);
  const auto waiting = submit(request(text(20, 2)));
  waiting->leave();
  EXPECT_EQ(waiting->end().code(), ErrorCode::kCancelled);
  decoding->leave();
  EXPECT_EQ(decoding->end().code(), ErrorCode::kCancelled);
  loading->leave();
  EXPECT_EQ(loading->end().code(), ErrorCode::kCancelled);
  EXPECT_EQ(idle().pagesTaken, 0u);
  EXPECT_EQ(pages_->taken(), 0u);
  source_.release();
  source_.onOpen = [](const ChunkId&, uint32_t) { return Fault::kNone; };
  EXPECT_TRUE(submit(request(text(20, 3)))->end().ok()) << "its place is free";
}

TEST_F(SchedulerTest, DeadlinesEndWhatIsNotDone) {
  const Prompt held = withChunk(1);
  source_.onOpen = [](const ChunkId&, uint32_t) { return Fault::kHeld; };
  start();
  ScheduledRequest late = request(held);
  late.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  const auto listener = submit(late);
  EXPECT_EQ(listener->end().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(idle().prompts, 0u);
  EXPECT_EQ(pages_->taken(), 0u);
  source_.release();
}

TEST_F(SchedulerTest, RequestsWaitForMemoryAndOnesThatCanNeverFitAreTold) {
  Scheduler::Config config;
  config.kvBytes = 4 * pages_->pageBytes();
  config.sharePrefixes = false;
  start(config);
  EXPECT_EQ(submit(request(text(200, 1), 100))->end().code(), ErrorCode::kResourceExhausted);
  std::vector<std::shared_ptr<FakeListener>> listeners;
  for (uint64_t i = 0; i < 6; ++i) {  // of three pages each
    auto listener = submit(request(text(150, i), 20));
    listeners.push_back(listener);
  }
  for (const auto& listener : listeners) {
    EXPECT_TRUE(listener->end().ok());
    EXPECT_LE(scheduler_->stats().pagesTaken, 4u);
    listener->forget();
  }
  EXPECT_EQ(idle().pagesLimit, 4u);
}

TEST_F(SchedulerTest, StoppingFinishesWhatRunsAndEndsWhatWaits) {
  Scheduler::Config config;
  config.maxRequests = 1;
  start(config);
  const auto running = submit(request(text(20, 1), 200));
  running->waitForTokens(1);
  const auto waiting = submit(request(text(20, 2)));
  scheduler_->stop();
  EXPECT_TRUE(running->end().ok());
  EXPECT_EQ(running->tokens().size(), 200u);
  EXPECT_EQ(waiting->end().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(submit(request(text(20, 3)))->end().code(), ErrorCode::kUnavailable);
}

// Bit for bit: answers behind shared pages are those behind pages of their own, and fewer rows are
// computed for them.
TEST_F(SchedulerTest, WhatPromptsHaveInCommonIsComputedOnce) {
  start();
  Prompt base = text(200, 1);
  const auto first = submit(request(base));
  EXPECT_TRUE(first->end().ok());
  EXPECT_EQ(first->provenance().rowsResident, 0u);
  Prompt longer = base;  // a conversation goes on: with the answer, and what is asked then
  Tokens& tokens = longer.segments[1].tokens;
  const Tokens answer = first->tokens();
  tokens.insert(tokens.end(), answer.begin(), answer.end());
  const Tokens more = test::randomTokens(model_->config(), 30, 9);
  tokens.insert(tokens.end(), more.begin(), more.end());
  const ScheduledRequest next = request(longer);
  const auto second = submit(next);
  EXPECT_TRUE(second->end().ok());
  EXPECT_EQ(second->provenance().rowsResident, 192u);
  EXPECT_EQ(second->provenance().rowsComputed, 241u - 192);
  EXPECT_EQ(second->tokens(), alone(next));

  ScheduledRequest salted = next;
  salted.salt = "other";
  const auto third = submit(salted);
  EXPECT_TRUE(third->end().ok());
  EXPECT_EQ(third->provenance().rowsResident, 0u);
  EXPECT_EQ(third->tokens(), second->tokens());

  ScheduledRequest full = next;
  full.link.method = LinkMethod::kFull;
  const auto fourth = submit(full);
  EXPECT_TRUE(fourth->end().ok());
  EXPECT_EQ(fourth->provenance().rowsComputed, 241u) << "full computes everything";
}

TEST_F(SchedulerTest, LinkedRowsAreNeverShared) {
  start();
  Prompt linked = withChunk(1);
  Prompt fresh = linked;
  for (PromptSegment& segment : fresh.segments) segment.kind = SegmentKind::kFresh;
  Tokens& tail = linked.segments.back().tokens;
  const Tokens more = test::randomTokens(model_->config(), 100, 7);
  tail.insert(tail.end(), more.begin(), more.end());
  fresh.segments.back().tokens = tail;
  EXPECT_TRUE(submit(request(linked))->end().ok());
  const ScheduledRequest asked = request(fresh);
  const auto exact = submit(asked);
  EXPECT_TRUE(exact->end().ok());
  EXPECT_EQ(exact->provenance().rowsResident, 0u);
  EXPECT_EQ(exact->tokens(), alone(asked));
}

TEST_F(SchedulerTest, PagesForLaterMakeRoomForThoseWhoNeedThem) {
  Scheduler::Config config;
  config.kvBytes = 4 * pages_->pageBytes();
  start(config);
  for (uint64_t i = 0; i < 5; ++i) {
    const ScheduledRequest asked = request(text(180, i), 20);
    const auto listener = submit(asked);
    EXPECT_TRUE(listener->end().ok());
    EXPECT_EQ(listener->tokens(), alone(asked));
    listener->forget();
    EXPECT_LE(pages_->taken(), 4u);
  }
  EXPECT_GT(idle().pagesCached, 0u);
}

TEST_F(SchedulerTest, ChoicesAreThoseOfTheirSeedsAndShareThePrompt) {
  Scheduler::Config config;
  config.sharePrefixes = false;
  start(config);
  const ScheduledRequest asked = request(text(150, 1), 12, 4);
  const auto listener = submit(asked);
  EXPECT_TRUE(listener->end().ok());
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(listener->tokens(i), alone(asked, i)) << i;
  EXPECT_NE(listener->tokens(0), listener->tokens(1));
  EXPECT_EQ(listener->provenance().rowsComputed, 151u) << "once for all";
  listener->forget();
  EXPECT_EQ(pages_->taken(), 0u);
}

TEST_F(SchedulerTest, AFailureOfTheLinkerIsToldAndNothingElseFails) {
  start();
  EXPECT_EQ(submit(request(text(500, 1), 600))->end().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(submit(request(text(20, 2)))->end().ok());
}

}  // namespace
}  // namespace spolia::engine
