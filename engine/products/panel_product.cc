#include "engine/products/panel_product.h"

#include <omp.h>

#include <compare>
#include <cstddef>
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

// What a product is made for.
struct Extents {
  size_t rows, inputs, panels;
  auto operator<=>(const Extents&) const = default;
};

// With Tag::ab of a single panel, whose sums stand among those of the others.
Shape describe(const Types& types, const Extents& extents, Tag tag) {
  const auto m = static_cast<memory::dim>(extents.rows);
  const auto k = static_cast<memory::dim>(extents.inputs);
  const auto all = static_cast<memory::dim>(extents.panels * WeightMatrix::kPanelOutputs);
  const auto n = tag == Tag::ab ? static_cast<memory::dim>(WeightMatrix::kPanelOutputs) : all;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const memory::desc in({m, k}, types.in, Tag::ab);
  const memory::desc out({m, n}, types.out, memory::dims{all, 1});
  const memory::desc panel({k, n}, types.weight, tag);
  return Shape(dnnl::matmul::desc(in, panel, out), attributes, cpu());
}

// The library falls back to a slow reference where it has no kernel for a packed panel.
bool hasKernel(const Shape& shape) {
  return std::string_view(shape.impl_info_str()).find("ref") == std::string_view::npos;
}

// For floats two names for the same bytes of a panel, where inputs are a multiple of 16. The first
// is taken as packed, several panels at a time, but only from AVX-512 on; the second is one panel.
struct Described {
  Shape shape;
  bool eachPanel = false;  // made for one panel, to be called for each
};

Described describeFloats(const Extents& extents) {
  if (extents.inputs % 16 == 0) {
    Shape packed = describe(kFloats, extents, Tag::BA16a64b);
    if (hasKernel(packed)) return {std::move(packed)};
  }
  return {describe(kFloats, extents, Tag::ab), true};
}

Described describeIntegers(const Extents& extents) {
  return {describe(kIntegers, extents, Tag::BA16a64b4a)};
}

// One shape, ready to run on one thread: only the three addresses change.
class PanelProduct {
 public:
  PanelProduct(const Described& described, const Extents& extents)
      : calls_(described.eachPanel ? extents.panels : 1),
        panelBytes_(extents.inputs * WeightMatrix::kPanelOutputs * sizeof(float)),
        primitive_(described.shape),
        in_(described.shape.src_desc(), cpu(), nullptr),
        panel_(described.shape.weights_desc(), cpu(), nullptr),
        out_(described.shape.dst_desc(), cpu(), nullptr),
        scratch_(described.shape.scratchpad_desc(), cpu()),
        arguments_({{DNNL_ARG_SRC, in_},
                    {DNNL_ARG_WEIGHTS, panel_},
                    {DNNL_ARG_DST, out_},
                    {DNNL_ARG_SCRATCHPAD, scratch_}}) {}

  void run(dnnl::stream& stream, const void* in, const void* panels, void* out) {
    in_.set_data_handle(const_cast<void*>(in));
    auto* panel = static_cast<std::byte*>(const_cast<void*>(panels));
    auto* sums = static_cast<std::byte*>(out);
    for (size_t i = 0; i < calls_; ++i) {
      panel_.set_data_handle(panel + i * panelBytes_);
      out_.set_data_handle(sums + i * WeightMatrix::kPanelOutputs * sizeof(float));
      primitive_.execute(stream, arguments_);
    }
  }

 private:
  size_t calls_;
  size_t panelBytes_;  // of f32, where there are several calls
  dnnl::matmul primitive_;
  memory in_, panel_, out_, scratch_;
  std::unordered_map<int, memory> arguments_;
};

// What a thread has prepared.
struct ThreadProducts {
  using ByExtents = std::map<Extents, PanelProduct>;

  // The pool owns the cores: no threads of OpenMP beside it. A setting of the calling thread.
  ThreadProducts() : stream(cpu()) { omp_set_num_threads(1); }

  PanelProduct& of(ByExtents& products, Described (*describeProduct)(const Extents&),
                   const Extents& extents) {
    const auto found = products.find(extents);
    if (found != products.end()) return found->second;
    return products.try_emplace(extents, describeProduct(extents), extents).first->second;
  }

  dnnl::stream stream;
  ByExtents floats, integers;
};

ThreadProducts& threadProducts() {
  thread_local ThreadProducts products;
  return products;
}

}  // namespace

void multiplyPanels(const float* in, size_t rows, size_t inputs, const float* panels, size_t count,
                    float* out) {
  SPOLIA_DCHECK(rows > 0 && rows % kPanelRowStep == 0 && rows <= kPanelRowsMost);
  ThreadProducts& own = threadProducts();
  own.of(own.floats, describeFloats, {rows, inputs, count}).run(own.stream, in, panels, out);
}

void multiplyPanels(const uint8_t* in, size_t rows, size_t inputs, const int8_t* panels,
                    size_t count, int32_t* out) {
  SPOLIA_DCHECK(rows > 0 && rows <= kPanelRowsMost);
  ThreadProducts& own = threadProducts();
  own.of(own.integers, describeIntegers, {rows, inputs, count}).run(own.stream, in, panels, out);
}

bool integerProducts() {
  static const bool has = [] {
    const Described described = describeIntegers({kPanelRowStep, Int8Panels::kInputs, 1});
    return std::string_view(described.shape.impl_info_str()).find("vnni") != std::string_view::npos;
  }();
  return has;
}

}  // namespace spolia::engine
