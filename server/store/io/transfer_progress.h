// TransferProgress: how far one read or write has come when the kernel moves it in parts. Used by
// every form of a ring, the simulated one too. A value; one thread.
#pragma once

#include <cstddef>

#include "server/store/io/ring.h"

namespace spolia::store {

class TransferProgress {
 public:
  // `length` is a multiple of kDiskBlock.
  explicit TransferProgress(size_t length = 0) : length_(length) {}

  enum class Next { kDone, kAgain, kFailed };
  // After the kernel has moved `count` bytes from done() on. kFailed: the file ends here, or the
  // kernel makes no progress. What is asked for next begins at a whole block, as O_DIRECT wants it:
  // bytes behind the last one are moved again.
  Next moved(size_t count) {
    const size_t before = done_;
    done_ += count;
    if (done_ >= length_) return Next::kDone;
    if (count == 0) return Next::kFailed;
    done_ -= done_ % kDiskBlock;
    if (done_ == before && ++stalls_ > kMaxStalls) return Next::kFailed;
    return Next::kAgain;
  }

  size_t done() const { return done_; }
  size_t left() const { return length_ - done_; }

 private:
  static constexpr int kMaxStalls = 32;

  size_t length_;
  size_t done_ = 0;
  int stalls_ = 0;  // parts shorter than a block
};

}  // namespace spolia::store
