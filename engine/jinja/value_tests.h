// What stands behind "is". Pure; any thread.
#pragma once

#include <string_view>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// Whether `value` is `name` (with `arguments`). kUnsupported for a name that is no test; errors of
// the operators it stands for.
Result<bool> applyTest(std::string_view name, const Value& value, const Arguments& arguments,
                       Budget& budget);

}  // namespace spolia::engine::jinja
