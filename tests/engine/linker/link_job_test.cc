// Jobs: a prompt in steps of any size, beside others, over sources that answer late or never, is
// what link() makes of it alone.
#include "engine/linker/link_job.h"

#include <gtest/gtest.h>

#include "engine/linker/chunk_compiler.h"
#include "engine/linker/linker.h"
#include "tests/engine/linker/fake_kv_source.h"
#include "tests/support/tiny_model.h"

namespace spolia::engine {
namespace {

constexpr auto kPages = codec::ElementType::kBf16;

class LinkJobTest : public ::testing::Test {
 protected:
  // BOS, two chunks of 40 and 70 rows, and a question of 30.
  Prompt prompt(uint64_t seed) const {
    Prompt out = promptWithBos(model_->config().bosToken);
    const auto add = [&](SegmentKind kind, uint32_t rows) {
      out.segments.push_back({kind, "part", test::randomTokens(model_->config(), rows, ++seed)});
    };
    seed *= 100;
    add(SegmentKind::kChunk, 40);
    add(SegmentKind::kChunk, 70);
    add(SegmentKind::kFresh, 30);
    return out;
  }
  void store(FakeKvSource& source, const Prompt& prompt) {
    const ChunkCompiler compiler(*model_, transformer_,
                                 {codec::Preset::kLossless, kPages, codec::CompileMode::kBos, {}});
    codec::ChunkQueue queue;
    for (const PromptSegment& segment : prompt.segments) {
      if (segment.kind != SegmentKind::kChunk) continue;
      auto stream = compiler.compile(segment.tokens);
      ASSERT_TRUE(stream.ok());
      source.submitStore(*std::move(stream), codec::PutMode::kIfAbsent, 0, queue);
      ASSERT_TRUE(queue.waitPop().status.ok());
    }
  }
  LinkOptions options() const {
    LinkOptions out;
    out.k = 8;
    out.patience = std::chrono::minutes(10);
    return out;
  }
  std::unique_ptr<LinkJob> start(Linker& linker, const Prompt& prompt, LinkOptions options) {
    auto job = linker.start(prompt, options);
    SPOLIA_CHECK(job.ok());
    return *std::move(job);
  }
  // Steps of at most so many rows until the end.
  LinkedPrompt finish(Linker& linker, LinkJob& job, size_t most) {
    for (;;) {
      const auto step = job.step(most);
      SPOLIA_CHECK(step.ok());
      EXPECT_LE(step->rows, most);
      if (step->state == LinkState::kDone) return job.take();
      if (step->state == LinkState::kWaiting) {
        linker.waitUntil(job.lateAt(), [&] { return job.canStep(); });
      }
    }
  }

  std::unique_ptr<Model> model_ = test::makeTinyModel(test::tinyConfig(), 5);
  ThreadPool pool_{2};
  Transformer transformer_{*model_, pool_, Rounding::kInvariant};
};

TEST_F(LinkJobTest, StepsOfAnySizeGiveTheSameBits) {
  FakeKvSource source(1);
  const Prompt asked = prompt(1);
  store(source, asked);
  for (const LinkMethod method : {LinkMethod::kFull, LinkMethod::kFirstK, LinkMethod::kReuse}) {
    LinkOptions how = options();
    how.method = method;
    Linker linker(*model_, transformer_, pool_, &source, {kPages, 1, 1});
    const auto whole = linker.link(asked, how);
    ASSERT_TRUE(whole.ok());
    for (const size_t most : {1u, 7u, 64u, 1000u}) {
      how.blockRows = most == 64 ? 16 : SIZE_MAX;
      const auto job = start(linker, asked, how);
      const LinkedPrompt linked = finish(linker, *job, most);
      EXPECT_EQ(linked.logits, whole->logits) << linkMethodName(method) << " by " << most;
      EXPECT_EQ(linked.provenance.rowsComputed, whole->provenance.rowsComputed);
      EXPECT_EQ(linked.provenance.hits(), whole->provenance.hits());
      EXPECT_EQ(linked.provenance.passes, 1u);
    }
  }
}

TEST_F(LinkJobTest, WorkLeftIsCountedDownToNothing) {
  Linker linker(*model_, transformer_, pool_, nullptr);
  const auto job = start(linker, prompt(1), options());
  const uint64_t layers = model_->config().layers;
  EXPECT_EQ(job->workLeft(), 141 * layers);
  uint64_t done = 0;
  for (;;) {
    const auto step = job->step(50);
    ASSERT_TRUE(step.ok());
    done += step->rows;
    EXPECT_EQ(job->workLeft(), 141 * layers - done);
    if (step->state == LinkState::kDone) break;
  }
  EXPECT_EQ(done, 141 * layers);
}

// Eight prompts at a time, stepped in turns, with answers in any order.
TEST_F(LinkJobTest, JobsBesideEachOtherDoNotMix) {
  for (uint32_t seed = 0; seed < 5; ++seed) {
    FakeKvSource source(seed);
    Linker linker(*model_, transformer_, pool_, &source, {kPages, 1, 1});
    std::vector<Prompt> prompts;
    std::vector<std::vector<float>> wanted;
    for (uint64_t i = 0; i < 8; ++i) {
      prompts.push_back(prompt(i + 1));
      store(source, prompts.back());
      const auto alone = linker.link(prompts.back(), options());
      ASSERT_TRUE(alone.ok());
      wanted.push_back(alone->logits);
    }
    std::vector<std::unique_ptr<LinkJob>> jobs;
    for (const Prompt& each : prompts) jobs.push_back(start(linker, each, options()));
    std::vector<bool> done(jobs.size());
    test::Random random(seed);
    for (size_t left = jobs.size(); left > 0;) {
      const uint32_t i = random.below(static_cast<uint32_t>(jobs.size()));
      if (done[i]) continue;
      const auto step = jobs[i]->step(1 + random.below(90));
      ASSERT_TRUE(step.ok());
      if (step->state == LinkState::kWaiting) pool_.runQueuedTasks();
      if (step->state != LinkState::kDone) continue;
      const LinkedPrompt linked = jobs[i]->take();
      EXPECT_EQ(linked.logits, wanted[i]);
      EXPECT_EQ(linked.provenance.hits(), 2u);
      done[i] = true;
      --left;
    }
  }
}

// What one job waits for, another does not.
TEST_F(LinkJobTest, AHeldChunkHoldsUpItsOwnJobOnly) {
  FakeKvSource source(3);
  const Prompt held = prompt(1), other = prompt(2);
  store(source, held);
  store(source, other);
  const uint32_t before = source.opens();
  source.onOpen = [=](const ChunkId&, uint32_t nth) {
    return nth - before < 2 ? Fault::kHeld : Fault::kNone;  // those of the first job
  };
  Linker linker(*model_, transformer_, pool_, &source, {kPages, 1, 1});
  const auto first = start(linker, held, options());
  const auto second = start(linker, other, options());
  EXPECT_EQ(first->step(10)->state, LinkState::kWaiting);
  EXPECT_EQ(finish(linker, *second, 100).provenance.hits(), 2u);
  EXPECT_EQ(first->step(10)->state, LinkState::kWaiting);
  EXPECT_FALSE(first->canStep());
  source.release();
  EXPECT_EQ(finish(linker, *first, 100).provenance.hits(), 2u);
}

// At any moment, with requests out or streams half decoded.
TEST_F(LinkJobTest, AJobMayBeGivenUpAtAnyTime) {
  FakeKvSource source(4);
  const Prompt asked = prompt(1);
  store(source, asked);
  const auto pages = PagePool::create(model_->config(), kPages);
  Linker::Config config{kPages, 1, 1};
  config.pool = pages.get();
  Linker linker(*model_, transformer_, pool_, &source, config);
  const auto whole = linker.link(asked, options());
  ASSERT_TRUE(whole.ok());
  const size_t held = pages->taken();
  for (int steps = 0; steps < 25; ++steps) {
    {
      const auto job = start(linker, asked, options());
      for (int i = 0; i < steps; ++i) ASSERT_TRUE(job->step(5).ok());
    }
    EXPECT_EQ(pages->taken(), held);
  }
  const auto again = linker.link(asked, options());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->logits, whole->logits);
}

TEST_F(LinkJobTest, ExactRowsEndWhereALoadedChunkBegins) {
  FakeKvSource source(5);
  Prompt asked = prompt(1);
  Linker linker(*model_, transformer_, pool_, &source, {kPages, 1, 1});
  EXPECT_EQ(linker.link(asked, options())->exactRows, 141u) << "nothing is stored";
  Prompt second = asked;
  second.segments[1].kind = SegmentKind::kFresh;
  store(source, second);
  EXPECT_EQ(linker.link(asked, options())->exactRows, 41u) << "the second chunk is loaded";
  EXPECT_EQ(shareableRows(asked, LinkMethod::kFirstK), 1u);
  EXPECT_EQ(shareableRows(asked, LinkMethod::kPrefix), 140u);
  EXPECT_EQ(shareableRows(asked, LinkMethod::kFull), 0u);
  asked.segments[1].kind = asked.segments[2].kind = SegmentKind::kFresh;
  EXPECT_EQ(shareableRows(asked, LinkMethod::kFirstK), 140u);
}

}  // namespace
}  // namespace spolia::engine
