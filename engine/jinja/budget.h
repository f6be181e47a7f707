// What rendering a template may use, and how much of it is used up. A template comes with a model
// that somebody published: whatever it says, rendering ends soon and in bounded memory. One thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/base/result.h"

namespace spolia::engine::jinja {

struct Limits {
  // Steps of evaluation; looking at 64 bytes of a string, or at one item of a list, is a step too.
  uint64_t steps = 300'000;
  // Of all strings and lists that are made, whether or not they are still there.
  uint64_t bytes = 16ull << 20;
  uint64_t outputBytes = 1ull << 20;
  // Expressions, statements and macro calls within each other.
  uint32_t depth = 300;
};

class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  // kResourceExhausted when it is more than is left; what is asked for is not done then.
  Status step(uint64_t steps = 1) {
    if (steps > limits_.steps - steps_) return tooMany();
    steps_ += steps;
    return {};
  }
  // Before bytes are looked at.
  Status scan(uint64_t bytes) { return step(1 + bytes / kBytesAStep); }
  // Before a string or list is made.
  Status make(uint64_t bytes);
  Status makeItems(uint64_t items) {
    return items > limits_.bytes / kItemBytes ? tooLarge() : make(items * kItemBytes);
  }
  // Before `bytes` are put behind the `written` ones.
  Status write(uint64_t written, uint64_t bytes);

  const Limits& limits() const { return limits_; }

  // One more thing within the others, while it exists.
  class Level {
   public:
    explicit Level(Budget& budget) : budget_(budget) { ++budget_.depth_; }
    ~Level() { --budget_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    // kResourceExhausted when that is too many.
    Status check() const {
      return budget_.depth_ > budget_.limits_.depth ? budget_.tooDeep() : Status();
    }

   private:
    Budget& budget_;
  };

 private:
  static constexpr uint64_t kBytesAStep = 64;
  static constexpr uint64_t kItemBytes = 128;

  Status tooMany() const;
  Status tooLarge() const;
  Status tooDeep() const;

  const Limits limits_;
  uint64_t steps_ = 0;
  uint64_t bytes_ = 0;
  uint32_t depth_ = 0;
};

}  // namespace spolia::engine::jinja
