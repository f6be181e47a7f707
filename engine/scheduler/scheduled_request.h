// What a scheduler is asked, and how it answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "engine/linker/link_job.h"
#include "engine/linker/linker.h"
#include "engine/linker/prompt.h"
#include "engine/scheduler/sequence.h"

namespace spolia::engine {

struct ScheduledRequest {
  Prompt prompt;
  LinkOptions link;                      // spareRows and blockRows are the scheduler's
  std::vector<SequenceOptions> choices;  // one answer each, at least one
  // Only requests of the same salt share pages.
  std::string salt;
  // By whom the prompt is linked, with the scheduler's pages; null: by the scheduler's own. Held as
  // long as the request is under way.
  std::shared_ptr<Linker> linker;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

// All answers to a request.
struct ScheduledAnswer {
  std::vector<StopReason> stopped;  // of each choice
  LinkedPrompt linked;              // method prefix: what may be written back stands in its pages
  std::shared_ptr<Linker> linker;   // that of the request
};

// Who asked. Methods are called by the scheduler's thread, all others wait meanwhile: they do not
// block.
class RequestListener {
 public:
  virtual ~RequestListener() = default;

  // Whether nobody waits for the answer any more: it is given up, and everything freed, soon.
  virtual bool gone() const = 0;
  // A token of one answer; false ends that answer behind it.
  virtual bool onToken(size_t choice, const ChosenToken& token) = 0;
  // The end, once, whatever happens. kCancelled: it was gone(); kDeadlineExceeded: past its
  // deadline; kResourceExhausted: it needs more memory than there can be; kUnavailable: the
  // scheduler stopped before it began; else what the linker refused.
  virtual void onEnd(Result<ScheduledAnswer> answer) = 0;
};

}  // namespace spolia::engine
