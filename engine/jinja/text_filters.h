// Filters that make text, and numbers out of it. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// What the filter `name` makes of `in`; nothing where it is none of these. Errors: kInvalidArgument
// for values and arguments a filter does not take; the budget's.
std::optional<Result<Value>> applyTextFilter(std::string_view name, const Value& in,
                                             const Arguments& arguments, Budget& budget);

}  // namespace spolia::engine::jinja
