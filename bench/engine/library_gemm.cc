#include "bench/engine/library_gemm.h"

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <oneapi/dnnl/dnnl.hpp>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/kernels/matrix.h"

namespace spolia::engine {

namespace {

using dnnl::memory;

Matrix filled(size_t rows, size_t columns) {
  Matrix out(rows, columns);
  for (size_t i = 0; i < rows * columns; ++i) {
    out.data()[i] = static_cast<float>(i * 2654435761u % 1000) * 1e-3f - 0.5f;
  }
  return out;
}

// Runs that are measured of a shape.
constexpr int kRuns = 3;

}  // namespace

// One thread's part of a product, ready to run.
class LibraryGemm::Part {
 public:
  explicit Part(const GemmShape& shape)
      : shape_(shape),
        in_(filled(shape.m, shape.k)),
        weight_(filled(shape.n, shape.k)),
        out_(shape.m, shape.n),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_) {
    const auto m = static_cast<memory::dim>(shape.m), n = static_cast<memory::dim>(shape.n),
               k = static_cast<memory::dim>(shape.k);
    using Tag = memory::format_tag;
    const memory::desc in({m, k}, memory::data_type::f32, Tag::ab);
    const memory::desc weight({k, n}, memory::data_type::f32, Tag::any);
    const memory::desc out({m, n}, memory::data_type::f32, Tag::ab);
    const dnnl::matmul::primitive_desc described(dnnl::matmul::desc(in, weight, out), engine_);
    product_ = dnnl::matmul(described);
    memory packed(described.weights_desc(), engine_);
    memory rows({{k, n}, memory::data_type::f32, Tag::ba}, engine_, weight_.data());
    dnnl::reorder(rows, packed).execute(stream_, rows, packed);
    arguments_ = {{DNNL_ARG_SRC, memory(in, engine_, in_.data())},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_DST, memory(out, engine_, out_.data())}};
  }

  void runOneDnn() { product_.execute(stream_, arguments_); }
  void runOpenBlas() {
    const auto size = [](size_t n) { return static_cast<blasint>(n); };
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size(shape_.m), size(shape_.n),
                size(shape_.k), 1.0f, in_.data(), size(shape_.k), weight_.data(), size(shape_.k),
                0.0f, out_.data(), size(shape_.n));
  }

 private:
  GemmShape shape_;
  Matrix in_, weight_, out_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul product_;
  std::unordered_map<int, memory> arguments_;
};

LibraryGemm::LibraryGemm(Library library, const std::vector<GemmShape>& shapes, unsigned threads)
    : library_(library), shapes_(shapes), parts_(shapes.size()) {
  openblas_set_num_threads(1);
  omp_set_num_threads(1);
  for (size_t s = 0; s < shapes.size(); ++s) {
    GemmShape own = shapes[s];
    own.n = std::max<size_t>(1, own.n / threads);
    for (unsigned t = 0; t < threads; ++t) parts_[s].push_back(std::make_unique<Part>(own));
  }
}

LibraryGemm::LibraryGemm(LibraryGemm&&) noexcept = default;
LibraryGemm::~LibraryGemm() = default;

std::vector<double> LibraryGemm::seconds() {
  const auto run = library_ == Library::kOneDnn ? &Part::runOneDnn : &Part::runOpenBlas;
  std::vector<double> out;
  for (size_t s = 0; s < shapes_.size(); ++s) {
    std::vector<double> took(parts_[s].size());
    std::barrier together(static_cast<ptrdiff_t>(took.size()));
    std::vector<std::thread> workers;
    for (size_t t = 0; t < took.size(); ++t) {
      workers.emplace_back([&, t] {
        omp_set_num_threads(1);
        Part& part = *parts_[s][t];
        (part.*run)();
        together.arrive_and_wait();
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < kRuns; ++i) (part.*run)();
        const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
        took[t] = all.count() / kRuns;
      });
    }
    for (std::thread& worker : workers) worker.join();
    out.push_back(*std::max_element(took.begin(), took.end()) *
                  static_cast<double>(shapes_[s].times));
  }
  return out;
}

}  // namespace spolia::engine
