// Filters that take lists and dicts, and `default`. Pure; any thread.
#pragma once

#include <string_view>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// What the filter `name`, of this kind or of text_filters, makes of `in`. kUnsupported for a name
// that is no filter; kInvalidArgument for values and arguments a filter does not take; the
// budget's.
Result<Value> applyFilter(std::string_view name, const Value& in, const Arguments& arguments,
                          Budget& budget);

// A dict's keys and values as tuples, in its order.
Result<Value> itemsOf(const Value& dict, Budget& budget);

}  // namespace spolia::engine::jinja
