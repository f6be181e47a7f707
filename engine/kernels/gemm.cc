#include "engine/kernels/gemm.h"

#include <cblas.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "codec/base/check.h"
#include "engine/kernels/gemv.h"

namespace spolia::engine {

namespace {

// Blocks handed to OpenBLAS. Each call packs its part of the weights again, which costs about as
// much as 10 rows of product: 512 rows keep that at 2 %. Columns are cut in multiples of 64, whole
// register tiles of every kernel OpenBLAS has for f32.
constexpr size_t kBlockRows = 512;
constexpr size_t kColumnStep = 64;
// Blocks per thread: enough that the last ones end at about the same time.
constexpr size_t kBlocksPerThread = 4;
// Columns of a tile under Rounding::kInvariant, whatever the number of threads.
constexpr size_t kInvariantColumns = 256;

// OpenBLAS would start threads of its own beside our pool.
void useOneBlasThread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

struct Block {
  const Product* product;
  size_t firstRow, rows;
  size_t firstColumn, columns;
};

std::vector<Block> cutBlocks(std::span<const Product> products, size_t rows, unsigned threads) {
  size_t columns = 0;
  for (const Product& product : products) columns += product.weight.rows();
  const size_t rowBlocks = (rows + kBlockRows - 1) / kBlockRows;
  const size_t wanted = std::max<size_t>(1, kBlocksPerThread * threads / rowBlocks);
  const size_t width = std::max(kColumnStep, (columns + wanted - 1) / wanted);
  const size_t rowStep = (rows + rowBlocks - 1) / rowBlocks;
  std::vector<Block> blocks;
  for (size_t row = 0; row < rows; row += rowStep) {
    for (const Product& product : products) {
      const size_t n = product.weight.rows();
      const size_t parts = (n + width - 1) / width;
      const size_t even = (n + parts - 1) / parts;
      const size_t step = (even + kColumnStep - 1) / kColumnStep * kColumnStep;
      for (size_t column = 0; column < n; column += step) {
        blocks.push_back(
            {&product, row, std::min(rowStep, rows - row), column, std::min(step, n - column)});
      }
    }
  }
  return blocks;
}

void multiplyRow(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
                 ThreadPool& pool) {
  for (const Product& product : products) {
    multiplyVector(in.row(0), product.weight, product.out.row(0), accumulate, pool);
  }
}

// One tile of one product: always kInvariantRows rows of memory laid out the same way, and columns
// cut at the same places, so that OpenBLAS takes the same path with the same order of sums.
void multiplyTile(const MatrixView& in, const Block& block, Accumulate accumulate) {
  const size_t k = in.columns();
  Matrix rows = Matrix::zeroed(kInvariantRows, k);
  Matrix sums(kInvariantRows, block.columns);
  for (size_t r = 0; r < block.rows; ++r) {
    std::memcpy(rows.row(r), in.row(block.firstRow + r), k * sizeof(float));
  }
  multiplyAlone(rows.view(), block.product->weight.rowRange(block.firstColumn, block.columns),
                sums.mutableView(), Accumulate::kReplace);
  for (size_t r = 0; r < block.rows; ++r) {
    float* out = block.product->out.row(block.firstRow + r) + block.firstColumn;
    const float* sum = sums.row(r);
    for (size_t c = 0; c < block.columns; ++c) {
      out[c] = accumulate == Accumulate::kAdd ? out[c] + sum[c] : sum[c];
    }
  }
}

void multiplyInvariant(const MatrixView& in, std::span<const Product> products,
                       Accumulate accumulate, ThreadPool& pool) {
  std::vector<Block> blocks;
  for (size_t row = 0; row < in.rows(); row += kInvariantRows) {
    for (const Product& product : products) {
      const size_t n = product.weight.rows();
      for (size_t column = 0; column < n; column += kInvariantColumns) {
        blocks.push_back({&product, row, std::min(kInvariantRows, in.rows() - row), column,
                          std::min(kInvariantColumns, n - column)});
      }
    }
  }
  pool.parallelFor(blocks.size(), [&](size_t i) { multiplyTile(in, blocks[i], accumulate); });
}

}  // namespace

void multiplyAlone(const MatrixView& in, const MatrixView& weight, const MutableMatrixView& out,
                   Accumulate accumulate) {
  SPOLIA_DCHECK(in.columns() == weight.columns());
  SPOLIA_DCHECK(out.rows() == in.rows() && out.columns() == weight.rows());
  if (out.empty()) return;
  useOneBlasThread();
  const float beta = accumulate == Accumulate::kAdd ? 1.0f : 0.0f;
  const auto size = [](size_t n) { return static_cast<blasint>(n); };
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size(in.rows()), size(weight.rows()),
              size(in.columns()), 1.0f, in.data(), size(in.stride()), weight.data(),
              size(weight.stride()), beta, out.data(), size(out.stride()));
}

void multiply(const MatrixView& in, std::span<const Product> products, Accumulate accumulate,
              ThreadPool& pool, Rounding rounding) {
  if (in.rows() == 0) return;
  if (rounding == Rounding::kInvariant) return multiplyInvariant(in, products, accumulate, pool);
  if (in.rows() == 1) return multiplyRow(in, products, accumulate, pool);
  const std::vector<Block> blocks = cutBlocks(products, in.rows(), pool.threads());
  pool.parallelFor(blocks.size(), [&](size_t i) {
    const Block& block = blocks[i];
    const MutableMatrixView out = block.product->out.rowRange(block.firstRow, block.rows)
                                      .columnRange(block.firstColumn, block.columns);
    multiplyAlone(in.rowRange(block.firstRow, block.rows),
                  block.product->weight.rowRange(block.firstColumn, block.columns), out,
                  accumulate);
  });
}

}  // namespace spolia::engine
