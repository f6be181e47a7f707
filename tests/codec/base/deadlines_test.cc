#include "codec/base/deadlines.h"

#include <gtest/gtest.h>

#include <string>

namespace spolia {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class DeadlinesTest : public ::testing::Test {
 protected:
  Deadline at(int ms) const { return Deadline(milliseconds(ms)); }
  Deadlines::Ticket add(int ms, char name) {
    return deadlines_.add(at(ms), [this, name] { late_ += name; });
  }

  Deadline now_{};
  Deadlines deadlines_{[this] { return now_; }};
  std::string late_;
};

TEST_F(DeadlinesTest, LateInTheirOrderAndOnce) {
  add(20, 'b');
  add(10, 'a');
  add(20, 'c');
  add(30, 'd');
  deadlines_.expire();
  EXPECT_EQ(late_, "");
  EXPECT_EQ(deadlines_.left(), milliseconds(10));
  now_ = at(25);
  EXPECT_EQ(deadlines_.left(), nanoseconds(0));
  deadlines_.expire();
  deadlines_.expire();
  EXPECT_EQ(late_, "abc");
  EXPECT_EQ(deadlines_.left(), milliseconds(5));
}

TEST_F(DeadlinesTest, RemovedAndNeverAreNotLate) {
  const auto first = add(10, 'a');
  EXPECT_EQ(deadlines_.add(kNoDeadline, [this] { late_ += 'x'; }), Deadlines::kNoTicket);
  deadlines_.remove(first);
  deadlines_.remove(first);
  deadlines_.remove(Deadlines::kNoTicket);
  EXPECT_EQ(deadlines_.left(), nanoseconds::max());
  now_ = at(1000);
  deadlines_.expire();
  EXPECT_EQ(late_, "");
  EXPECT_TRUE(deadlines_.passed(at(1000)));
  EXPECT_FALSE(deadlines_.passed(kNoDeadline));
}

// One that removes another that is late at the same time.
TEST_F(DeadlinesTest, MayBeRemovedByAnotherThatIsLate) {
  Deadlines::Ticket second;
  deadlines_.add(at(1), [&] { deadlines_.remove(second); });
  second = add(2, 'b');
  now_ = at(5);
  deadlines_.expire();
  EXPECT_EQ(late_, "");
}

}  // namespace
}  // namespace spolia
