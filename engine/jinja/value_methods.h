// Functions that every template can call, and methods of strings, dicts and lists. Pure; any
// thread.
#pragma once

#include <ctime>
#include <string_view>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// Whether a value of this kind has a method `name`. Those of Python that change their value are
// none: templates run in a sandbox that refuses them.
bool hasMethod(const Value& self, std::string_view name);

// self.name(arguments). kInvalidArgument for arguments it does not take; the budget's.
Result<Value> callMethod(const Value& self, std::string_view name, const Arguments& arguments,
                         Budget& budget);

// range, namespace, dict, raise_exception and strftime_now, by which `now` is the time.
bool isGlobal(std::string_view name);
// kInvalidArgument for arguments it does not take, and for raise_exception, whose message it is;
// the budget's.
Result<Value> callGlobal(std::string_view name, const Arguments& arguments, const std::tm& now,
                         Budget& budget);

}  // namespace spolia::engine::jinja
