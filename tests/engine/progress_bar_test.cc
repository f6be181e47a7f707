#include "engine/progress_bar.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

TEST(ProgressBar, LineShowsShareRateAndTimeLeft) {
  EXPECT_EQ(progressLine(1024, 4096, 2, "a.txt"),
            "[######..................]  25 %  0.5 KiB/s  0:06 left  a.txt");
  EXPECT_EQ(progressLine(0, 4096, 0, "a.txt"),
            "[........................]   0 %  0.0 KiB/s  -:-- left  a.txt");
  EXPECT_EQ(progressLine(0, 0, 1, ""), "[########################] 100 %  0.0 KiB/s  -:-- left  ");
}

TEST(ProgressBar, SilentWithoutATerminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressBar bar(file, 100);
    bar.update(50, "half");
    bar.clear();
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

}  // namespace
}  // namespace spolia::engine
