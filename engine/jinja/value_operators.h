// Operators on values, as Python has them. Pure; any thread. Errors: kInvalidArgument for operands
// an operator does not take, numbers beyond 64 bits and division by zero; the budget's.
#pragma once

#include <string_view>
#include <vector>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// "+", "-", "*", "/", "//", "%", "**".
Result<Value> applyArithmetic(std::string_view name, const Value& a, const Value& b,
                              Budget& budget);
// "-", "+".
Result<Value> applySign(std::string_view name, const Value& value);
// "==", "!=", "<", "<=", ">", ">=", "in", "not in".
Result<bool> applyComparison(std::string_view name, const Value& a, const Value& b, Budget& budget);
// Whether `item` is in `container`.
Result<bool> contains(const Value& container, const Value& item, Budget& budget);

// value[item]; undefined where it is not there.
Result<Value> itemOf(const Value& value, const Value& item, Budget& budget);
// value[begin:end:step]; undefined for what is left out.
Result<Value> sliceOf(const Value& value, const Value& begin, const Value& end, const Value& step,
                      Budget& budget);
// What a path of names and places ("function.name", "0", 1) leads to; undefined where it breaks.
Result<Value> attributeOf(const Value& value, const Value& path, Budget& budget);

}  // namespace spolia::engine::jinja
