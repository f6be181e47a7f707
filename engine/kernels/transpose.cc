#include "engine/kernels/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/transpose.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace spolia::engine {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// A square of four by four in four registers.
HWY_INLINE void transposeSquare(const float* in, size_t inStride, float* out, size_t outStride) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  const auto a = hn::LoadU(d, in), b = hn::LoadU(d, in + inStride);
  const auto c = hn::LoadU(d, in + 2 * inStride), e = hn::LoadU(d, in + 3 * inStride);
  const auto abLow = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto abHigh = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ceLow = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ceHigh = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, abLow, ceLow)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, abLow, ceLow)), d, out + outStride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, abHigh, ceHigh)), d, out + 2 * outStride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, abHigh, ceHigh)), d, out + 3 * outStride);
}
#endif

void transposeHere(const float* in, size_t rows, size_t columns, float* out) {
  size_t wholeRows = 0, wholeColumns = 0;
#if HWY_TARGET != HWY_SCALAR
  wholeRows = rows / 4 * 4, wholeColumns = columns / 4 * 4;
  for (size_t column = 0; column < wholeColumns; column += 4) {
    for (size_t row = 0; row < wholeRows; row += 4) {
      transposeSquare(in + row * columns + column, columns, out + column * rows + row, rows);
    }
  }
#endif
  for (size_t column = 0; column < columns; ++column) {
    const size_t first = column < wholeColumns ? wholeRows : 0;
    for (size_t row = first; row < rows; ++row)
      out[column * rows + row] = in[row * columns + column];
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spolia::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace spolia::engine {

HWY_EXPORT(transposeHere);

void transpose(const float* in, size_t rows, size_t columns, float* out) {
  HWY_DYNAMIC_DISPATCH(transposeHere)(in, rows, columns, out);
}

}  // namespace spolia::engine
#endif
