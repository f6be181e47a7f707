#include "server/store/io/transfer_progress.h"

#include <gtest/gtest.h>

namespace spolia::store {
namespace {

using Next = TransferProgress::Next;

TEST(TransferProgress, GoesOnAtAWholeBlock) {
  TransferProgress progress(4 * kDiskBlock);
  EXPECT_EQ(progress.moved(kDiskBlock), Next::kAgain);
  EXPECT_EQ(progress.done(), kDiskBlock);
  EXPECT_EQ(progress.moved(kDiskBlock + 100), Next::kAgain);
  EXPECT_EQ(progress.done(), 2 * kDiskBlock);
  EXPECT_EQ(progress.left(), 2 * kDiskBlock);
  EXPECT_EQ(progress.moved(2 * kDiskBlock), Next::kDone);
}

TEST(TransferProgress, EndOfFileAndNoProgressFail) {
  TransferProgress ended(2 * kDiskBlock);
  EXPECT_EQ(ended.moved(kDiskBlock), Next::kAgain);
  EXPECT_EQ(ended.moved(0), Next::kFailed);
  TransferProgress stuck(2 * kDiskBlock);
  int tries = 0;
  while (stuck.moved(1) == Next::kAgain) ASSERT_LT(++tries, 1000);
  EXPECT_EQ(TransferProgress(0).moved(0), Next::kDone);
}

}  // namespace
}  // namespace spolia::store
