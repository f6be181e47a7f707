#include "client/protocol/byte_budget.h"

#include <gtest/gtest.h>

namespace spolia::protocol {
namespace {

TEST(ByteBudget, WaitersAreServedInOrderAndNothingIsLost) {
  kj::EventLoop loop;
  kj::WaitScope scope(loop);
  ByteBudget budget(100);
  auto first = budget.reserve(80).wait(scope);
  auto large = budget.reserve(50);
  auto small = budget.reserve(10);
  EXPECT_FALSE(small.poll(scope)) << "it would fit, but overtake";
  first.release();
  auto held = large.wait(scope);
  EXPECT_TRUE(small.poll(scope));
  EXPECT_EQ(budget.used(), 60u);
  { const auto moved = std::move(held); }
  { const auto dropped = small.wait(scope); }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(ByteBudget, DroppedWaiterDoesNotHoldUpOthers) {
  kj::EventLoop loop;
  kj::WaitScope scope(loop);
  ByteBudget budget(100);
  auto all = budget.reserve(1000).wait(scope);
  EXPECT_EQ(budget.used(), 100u);
  { auto dropped = budget.reserve(100); }
  auto next = budget.reserve(100);
  all.release();
  EXPECT_TRUE(next.poll(scope));
}

}  // namespace
}  // namespace spolia::protocol
