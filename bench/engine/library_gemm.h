// The rates that libraries reach on a model's products: what a prefill is compared with.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace spolia::engine {

// out [m][n] = in [m][k] * weight [n][k]^T, so many times.
struct GemmShape {
  size_t m, n, k, times;
  double flops() const { return 2.0 * static_cast<double>(m * times) * static_cast<double>(n * k); }
};

enum class Library { kOpenBlas, kOneDnn };

// All shapes by one library in f32, each cut by columns over `threads` threads; oneDNN's weights
// are packed before. One thread.
class LibraryGemm {
 public:
  LibraryGemm(Library library, const std::vector<GemmShape>& shapes, unsigned threads);
  LibraryGemm(LibraryGemm&&) noexcept;
  ~LibraryGemm();

  // Of each shape the seconds that all its products take, measured on a few; handing out work is
  // left out. Of the threads the slowest counts.
  std::vector<double> seconds();

 private:
  class Part;

  Library library_;
  std::vector<GemmShape> shapes_;
  std::vector<std::vector<std::unique_ptr<Part>>> parts_;  // [shape][thread]
};

}  // namespace spolia::engine
