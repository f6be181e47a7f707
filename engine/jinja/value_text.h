// Values as text: what {{ }} writes, and JSON. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// As Python's str(). kResourceExhausted beyond the budget; kInvalidArgument for what has no text (a
// function, a namespace).
Result<MarkedText> toText(const Value& value, Budget& budget);

struct JsonStyle {
  int64_t indent = -1;  // negative: all in one line
  bool ascii = false;   // everything else escaped
  bool sortKeys = false;
  std::string itemSeparator = ", ";  // "," where lines are broken
  std::string keySeparator = ": ";
};

// As Python's json.dumps(). Errors as toText().
Result<MarkedText> toJson(const Value& value, const JsonStyle& style, Budget& budget);

// As Python writes a float: "1.0", "1e+16".
std::string floatText(double value);

}  // namespace spolia::engine::jinja
