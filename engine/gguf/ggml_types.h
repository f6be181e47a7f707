// Element types of tensors by the numbers that ggml gives them. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/model/weight_file.h"

namespace spolia::engine {

// Nothing for a type that the engine does not read.
std::optional<TensorType> tensorTypeOfGgml(uint32_t number);
// "Q4_K", "IQ2_XS", ...; the number where no type has it.
std::string ggmlTypeName(uint32_t number);
// Those that the engine reads: "F32, F16, ...".
std::string readGgmlTypes();

}  // namespace spolia::engine
