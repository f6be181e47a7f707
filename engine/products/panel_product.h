// Products of many rows with panels of a weight matrix, by oneDNN: its kernels are generated for
// the processor and the shape, and read a packed panel without packing it again.
//
// Any thread; works on the calling thread alone. What is generated is shared by the threads, what
// a call needs beside it is kept per thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spolia::engine {

// Rows of a call are a multiple of the first, at most the second: so there are few shapes.
inline constexpr size_t kPanelRowStep = 8;
inline constexpr size_t kPanelRowsMost = 128;
// Panels of a call at most: more reads of an input from cache serve.
inline constexpr size_t kPanelsMost = 4;

// out [rows][64 * panels] = in [rows][inputs] * panels [panels][inputs][64], which lie one behind
// the other.
void multiplyPanels(const float* in, size_t rows, size_t inputs, const float* panels, size_t count,
                    float* out);

// The same in integers, exactly: panels of Int8Panels and inputs as quantizeInputs() makes them.
// Also for 1, 2 and 4 rows. Only where integerProducts().
void multiplyPanels(const uint8_t* in, size_t rows, size_t inputs, const int8_t* panels,
                    size_t count, int32_t* out);

// Whether the processor has instructions that multiply 8 bits into 32: without them sums of pairs
// would overflow 16 bits.
bool integerProducts();

}  // namespace spolia::engine
