// RingDriver: gives each request of a Ring a continuation. One thread, the ring's.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/store/io/ring.h"

namespace spolia::store {

class RingDriver {
 public:
  // Called with 0 or an errno, from pump().
  using Done = std::function<void(int error)>;

  explicit RingDriver(Ring& ring) : ring_(ring) {}

  Ring& ring() { return ring_; }
  size_t inFlight() const { return waiting_.size(); }

  // The request's tag.
  uint64_t issue(RingRequest request, Done done) {
    request.tag = nextTag_++;
    waiting_.emplace(request.tag, std::move(done));
    ring_.submit(request);
    return request.tag;
  }
  // As Ring::cancel: the continuation runs all the same.
  void cancel(uint64_t tag) { ring_.cancel(tag); }

  // Runs the continuations of what has completed.
  void pump(Ring::Wait mode, std::chrono::nanoseconds atMost = Ring::kForever) {
    completions_.clear();
    ring_.wait(mode, atMost, completions_);
    for (const RingCompletion& completion : completions_) {
      auto node = waiting_.extract(completion.tag);
      if (!node.empty()) node.mapped()(completion.error);
    }
  }

 private:
  Ring& ring_;
  uint64_t nextTag_ = 1;
  std::unordered_map<uint64_t, Done> waiting_;
  std::vector<RingCompletion> completions_;
};

}  // namespace spolia::store
