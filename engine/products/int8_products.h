// Products in integers with weights in 8 bits: each row of the input gets a scale and 8 bits, sums
// are exact in 32. The reference is the same arithmetic on copyRow() and quantizeInputs().
#pragma once

#include <span>

#include "engine/products/products.h"

namespace spolia::engine {

// As multiply(), of products whose weights are all int8(). A row's result depends on the row and
// the weights alone. Without integerProducts() it takes long.
void multiplyInt8(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
                  ThreadPool& pool);

}  // namespace spolia::engine
