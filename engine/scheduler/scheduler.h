// Scheduler: many requests at a time. Each iteration decodes a step of all answers under way
// together, then works on prompts within a token budget (schedule_policy). Loading never holds up
// others: a prompt whose chunks are not there yet is passed over.
//
// What prompts have in common at their front is computed once (prefix_cache), as long as there is
// memory for it.
//
// Owns a thread, which alone uses the linker's jobs and calls listeners. Borrows model,
// transformer, thread pool, linker and page pool, which outlive it; others may use transformer and
// pool meanwhile.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/linker/linker.h"
#include "engine/scheduler/prefix_cache.h"
#include "engine/scheduler/schedule_policy.h"
#include "engine/scheduler/scheduled_request.h"
#include "engine/transformer/decode_batch.h"

namespace spolia::engine {

struct SchedulerStats {
  size_t waiting = 0;        // not let in yet
  size_t prompts = 0;        // let in, not complete
  size_t decoding = 0;       // requests with answers under way
  uint64_t pagesTaken = 0;   // by requests, and kept for later ones
  uint64_t pagesCached = 0;  // that later ones may find
  uint64_t pagesLimit = 0;   // that may be taken
  uint64_t pageBytes = 0;
  uint64_t decodeSteps = 0;  // since the start
  uint64_t decodedRows = 0;
};

class Scheduler {
 public:
  struct Config {
    ScheduleConfig policy;
    size_t maxRequests = 32;  // let in at a time
    uint64_t kvBytes = 0;     // of their KV together; 0: half of the machine's memory
    bool sharePrefixes = true;
  };

  // `pages` are those of the linker.
  Scheduler(const Model& model, const Transformer& transformer, ThreadPool& pool, Linker& linker,
            PagePool& pages, Config config);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Any thread; order of arrival. Its listener hears of the end in any case, within this call when
  // the scheduler has stopped.
  void submit(ScheduledRequest request, std::shared_ptr<RequestListener> listener);

  // Ends those that wait with kUnavailable, finishes the others, joins the thread. Idempotent.
  void stop();

  // As of the last iteration; any thread.
  SchedulerStats stats() const;

 private:
  struct Request;
  using Requests = std::vector<std::unique_ptr<Request>>;
  using Clock = std::chrono::steady_clock;

  void run();
  bool takeArrivals();
  void dropEnded(Requests& requests);
  void sweep(Requests& requests);
  void admit();
  size_t decode();
  void advance(Request& request, size_t choice, std::span<const float> logits);
  bool workOnPrompts(size_t decoded);
  bool workOn(Request& request, uint64_t& budget);
  void beginAnswers(Request& request);
  void rest();
  void publish();
  bool admit(Request& request);
  bool makeRoom(uint64_t pages);
  std::vector<PageRef> sharedPages(const ScheduledRequest& request);
  void keepPages(const Request& request, const KvPages& pages,
                 std::span<const codec::TokenId> tokens);

  const Model& model_;
  ThreadPool& pool_;
  Linker& linker_;
  const Config config_;
  DecodeBatch batch_;
  PagePool& pages_;
  const uint64_t pageLimit_;
  uint64_t pagesReserved_ = 0;  // set aside for requests, and not taken yet
  PrefixCache cached_;
  Requests waiting_, running_;  // in order of arrival
  size_t nextRow_ = 0;          // where the next step begins when not all fit into one
  uint64_t steps_ = 0, stepRows_ = 0;

  mutable std::mutex mutex_;
  Requests arrived_;               // under mutex_
  bool stopping_ = false;          // under mutex_
  SchedulerStats stats_;           // under mutex_
  std::atomic<bool> news_{false};  // arrivals, or the stop
  std::thread thread_;             // last: uses the rest
};

}  // namespace spolia::engine
