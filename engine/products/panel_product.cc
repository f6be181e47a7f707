#include "engine/products/panel_product.h"

#include <omp.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "codec/base/check.h"
#include "engine/products/int8_panels.h"
#include "engine/products/weight_matrix.h"

namespace spolia::engine {

namespace {

using dnnl::memory;

constexpr auto kOutputs = static_cast<memory::dim>(WeightMatrix::kPanelOutputs);

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

using Type = memory::data_type;
using Tag = memory::format_tag;
using Shape = dnnl::matmul::primitive_desc;

// Element types of a product.
struct Types {
  Type in, weight, out;
};
constexpr Types kFloats = {Type::f32, Type::f32, Type::f32};
constexpr Types kIntegers = {Type::u8, Type::s8, Type::s32};

Shape describe(const Types& types, size_t rows, size_t inputs, Tag tag) {
  const auto m = static_cast<memory::dim>(rows), k = static_cast<memory::dim>(inputs);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const memory::desc in({m, k}, types.in, Tag::ab), out({m, kOutputs}, types.out, Tag::ab);
  const memory::desc panel({k, kOutputs}, types.weight, tag);
  return Shape(dnnl::matmul::desc(in, panel, out), attributes, cpu());
}

// The library falls back to a slow reference where it has no kernel for a packed panel.
bool hasKernel(const Shape& shape) {
  return std::string_view(shape.impl_info_str()).find("ref") == std::string_view::npos;
}

// For floats two names for the same bytes, where inputs are a multiple of 16. The first is taken as
// packed, but only from AVX-512 on.
Shape describeFloats(size_t rows, size_t inputs) {
  if (inputs % 16 == 0) {
    Shape packed = describe(kFloats, rows, inputs, Tag::BA16a64b);
    if (hasKernel(packed)) return packed;
  }
  return describe(kFloats, rows, inputs, Tag::ab);
}

Shape describeIntegers(size_t rows, size_t inputs) {
  return describe(kIntegers, rows, inputs, Tag::BA16a64b4a);
}

// One shape, ready to run on one thread: only the three addresses change.
class PanelProduct {
 public:
  explicit PanelProduct(const Shape& shape)
      : primitive_(shape),
        in_(shape.src_desc(), cpu(), nullptr),
        panel_(shape.weights_desc(), cpu(), nullptr),
        out_(shape.dst_desc(), cpu(), nullptr),
        scratch_(shape.scratchpad_desc(), cpu()),
        arguments_({{DNNL_ARG_SRC, in_},
                    {DNNL_ARG_WEIGHTS, panel_},
                    {DNNL_ARG_DST, out_},
                    {DNNL_ARG_SCRATCHPAD, scratch_}}) {}

  void run(dnnl::stream& stream, const void* in, const void* panel, void* out) {
    in_.set_data_handle(const_cast<void*>(in));
    panel_.set_data_handle(const_cast<void*>(panel));
    out_.set_data_handle(out);
    primitive_.execute(stream, arguments_);
  }

 private:
  dnnl::matmul primitive_;
  memory in_, panel_, out_, scratch_;
  std::unordered_map<int, memory> arguments_;
};

// What a thread has prepared, by rows and inputs.
struct ThreadProducts {
  using ByShape = std::map<std::pair<size_t, size_t>, PanelProduct>;

  // The pool owns the cores: no threads of OpenMP beside it. A setting of the calling thread.
  ThreadProducts() : stream(cpu()) { omp_set_num_threads(1); }

  PanelProduct& of(ByShape& products, Shape (*describeShape)(size_t, size_t), size_t rows,
                   size_t inputs) {
    const auto found = products.find({rows, inputs});
    if (found != products.end()) return found->second;
    return products.try_emplace({rows, inputs}, describeShape(rows, inputs)).first->second;
  }

  dnnl::stream stream;
  ByShape floats, integers;
};

ThreadProducts& threadProducts() {
  thread_local ThreadProducts products;
  return products;
}

}  // namespace

void multiplyPanel(const float* in, size_t rows, size_t inputs, const float* panel, float* out) {
  SPOLIA_DCHECK(rows > 0 && rows % kPanelRowStep == 0 && rows <= kPanelRowsMost);
  ThreadProducts& own = threadProducts();
  own.of(own.floats, describeFloats, rows, inputs).run(own.stream, in, panel, out);
}

void multiplyPanel(const uint8_t* in, size_t rows, size_t inputs, const int8_t* panel,
                   int32_t* out) {
  SPOLIA_DCHECK(rows > 0 && rows <= kPanelRowsMost);
  ThreadProducts& own = threadProducts();
  own.of(own.integers, describeIntegers, rows, inputs).run(own.stream, in, panel, out);
}

bool integerProducts() {
  static const bool has = [] {
    const Shape shape = describeIntegers(kPanelRowStep, Int8Panels::kInputs);
    return std::string_view(shape.impl_info_str()).find("vnni") != std::string_view::npos;
  }();
  return has;
}

}  // namespace spolia::engine
