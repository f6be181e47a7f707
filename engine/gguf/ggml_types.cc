#include "engine/gguf/ggml_types.h"

#include <iterator>
#include <utility>

namespace spolia::engine {

namespace {

constexpr std::pair<uint32_t, TensorType> kRead[] = {
    {0, TensorType::kF32},  {1, TensorType::kF16},  {30, TensorType::kBf16}, {8, TensorType::kQ8_0},
    {2, TensorType::kQ4_0}, {12, TensorType::kQ4K}, {14, TensorType::kQ6K}};

// By number; what was never given out or is no longer in files has none.
constexpr const char* kTypeNames[] = {
    "F32",     "F16",    "Q4_0",    "Q4_1",  nullptr,  nullptr, "Q5_0",  "Q5_1",
    "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
    "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
    "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16",  nullptr,
    nullptr,   nullptr,  "TQ1_0",   "TQ2_0", nullptr,  nullptr, nullptr, "MXFP4"};

}  // namespace

std::optional<TensorType> tensorTypeOfGgml(uint32_t number) {
  for (const auto& [known, type] : kRead) {
    if (known == number) return type;
  }
  return std::nullopt;
}

std::string ggmlTypeName(uint32_t number) {
  if (number < std::size(kTypeNames) && kTypeNames[number]) return kTypeNames[number];
  return std::to_string(number);
}

std::string readGgmlTypes() {
  std::string out;
  for (const auto& [number, type] : kRead) {
    if (!out.empty()) out += ", ";
    out += tensorTypeName(type);
  }
  return out;
}

}  // namespace spolia::engine
