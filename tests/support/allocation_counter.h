// Counts what a test program asks operator new for. A program in which one of these is called has
// its operators replaced. Any thread.
#pragma once

#include <cstddef>

namespace spolia::test {

// Allocations since the program's start: all of them, and those of a KiB and more.
size_t allocations();
size_t largeAllocations();

}  // namespace spolia::test
