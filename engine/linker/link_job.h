// LinkJob: one prompt on its way to complete KV, in pieces of bounded work, so that many can go on
// beside each other. See Linker for what comes of it.
//
// Made by a Linker, which it borrows from. One thread; a step uses the whole pool. A job may be
// destroyed at any time: loads under way then go nowhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/thread_pool.h"
#include "engine/linker/chunk_loader.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/link_plan.h"
#include "engine/linker/prompt.h"
#include "engine/linker/provenance.h"
#include "engine/model/model.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

struct LinkOptions {
  LinkMethod method = LinkMethod::kFirstK;
  uint32_t k = kDefaultFirstK;  // first-k only
  // How long loading may hold up the request in all.
  std::chrono::milliseconds patience{10'000};
  // Rows to leave room for behind the prompt, for decoding.
  uint32_t spareRows = 64;
  // Rows that go through a layer at a time, at most.
  size_t blockRows = SIZE_MAX;
};

// A prefix chunk whose rows were computed and stand in the pages exactly.
struct UnstoredPrefix {
  codec::ChunkIdentity identity;
  uint32_t firstPosition = 0;
};

// A prompt whose KV is complete.
struct LinkedPrompt {
  std::unique_ptr<KvPages> pages;
  uint32_t rows = 0;
  std::vector<float> logits;  // of the last row, [vocabulary]
  Provenance provenance;
  std::vector<UnstoredPrefix> unstored;  // method prefix only
  // Rows at the front that are what computing them from the first one gives.
  uint32_t exactRows = 0;
};

// What a linker's jobs have in common. They borrow what is named here.
struct LinkParts {
  const Model& model;
  const Transformer& transformer;
  ThreadPool& threads;
  KvSource* source;  // null: nothing is ever stored
  CompletionRouter& router;
  ChunkProfiles& profiles;
  ChunkLoader::Config loading;
  PagePool* pool;  // null: each prompt has memory of its own
};

// Rows at the front of a prompt that the method computes, or loads exactly, whatever is stored:
// those that may stand in pages shared with others. Never the last one, which has to be computed;
// none of method full, which computes everything.
uint32_t shareableRows(const Prompt& prompt, LinkMethod method);

enum class LinkState : uint8_t {
  kWorked,   // there is more to do
  kWaiting,  // for what is being loaded
  kDone,
};

struct LinkStep {
  LinkState state = LinkState::kWorked;
  size_t rows = 0;  // that went through a layer
};

class LinkJob {
 public:
  // The prompt has rows, and fits the model together with its spare rows. Asks for what may be
  // stored. `front` are pages that hold the prompt's first rows, at most shareableRows() of them.
  LinkJob(const LinkParts& parts, Prompt prompt, const LinkOptions& options,
          std::vector<PageRef> front);
  ~LinkJob();

  // Takes at most `mostRows` (1 or more) rows through one layer, or does what comes between layers.
  // Errors are those of the transformer: the job is over then.
  Result<LinkStep> step(size_t mostRows);

  // Whether step() would do more than wait. Any thread but the one that steps at the same time.
  bool canStep() const;
  // While it cannot: when it gives up waiting.
  std::chrono::steady_clock::time_point lateAt() const;
  // Rows times layers that are left; what is not known to be stored yet counts as computed.
  uint64_t workLeft() const;
  // Some of its rows are loaded.
  bool loads() const { return loads_; }

  // After kDone, once.
  LinkedPrompt take() { return std::move(linked_); }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Stage : uint8_t { kOpening, kPass, kDropping, kDone };
  struct Chunk;

  void nameChunks();
  Status finishOpening();
  Status checkHeader(const codec::StreamHeader& header, const PromptSegment& segment) const;
  void breakChain();
  LinkPlan plan() const;
  void startLoading();
  Status beginPass();
  Status deriveFirstLayer();
  Result<LinkStep> stepPass(size_t mostRows);
  Result<LinkStep> stepDropping();
  void finish();
  bool isExact(const Chunk& chunk) const;
  uint32_t exactRows() const;
  void finishProvenance();
  void collectUnstored();

  const LinkParts parts_;
  const Prompt prompt_;
  const LinkOptions options_;
  const std::vector<codec::TokenId> tokens_;
  const uint32_t resident_;  // rows of the front
  std::vector<Chunk> chunks_;
  std::optional<ChunkLoader> loader_;  // none where nothing may be stored
  LinkPlan plan_;
  bool loads_ = false;
  Stage stage_ = Stage::kOpening;
  Pass pass_;
  uint32_t layer_ = 0;  // of the pass, that row_ is the next row of
  size_t row_ = 0;
  Clock::time_point startedAt_, openedAt_;
  LinkedPrompt linked_;
};

}  // namespace spolia::engine
