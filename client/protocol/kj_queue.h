// Drains a CompletionQueue on a KJ event loop by its eventfd. One event loop; the queue outlives
// the drain.
#pragma once

#include <kj/async-unix.h>

#include <functional>
#include <utility>

#include "codec/base/completion_queue.h"

namespace spolia::protocol {

template <typename T>
class KjQueueDrain {
 public:
  // `take` gets everything that waits, in order; it must not throw.
  KjQueueDrain(kj::UnixEventPort& port, CompletionQueue<T>& queue,
               std::function<void(std::vector<T>)> take)
      : queue_(queue),
        take_(std::move(take)),
        observer_(port, queue.eventFd(), kj::UnixEventPort::FdObserver::OBSERVE_READ) {}
  KJ_DISALLOW_COPY(KjQueueDrain);

  // Runs until dropped.
  kj::Promise<void> run() {
    // Observed before draining: edges are seen only by the event loop, which does not turn here.
    auto readable = observer_.whenBecomesReadable();
    auto items = queue_.drain();
    if (!items.empty()) take_(std::move(items));
    return readable.then([this] { return run(); });
  }

 private:
  CompletionQueue<T>& queue_;
  std::function<void(std::vector<T>)> take_;
  kj::UnixEventPort::FdObserver observer_;
};

}  // namespace spolia::protocol
