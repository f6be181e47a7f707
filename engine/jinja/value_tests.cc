#include "engine/jinja/value_tests.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/jinja/text_functions.h"
#include "engine/jinja/value_operators.h"

namespace spolia::engine::jinja {

namespace {

// Tests that only look at the kind of the value.
using KindTest = bool (*)(const Value&);

struct NamedKindTest {
  std::string_view name;
  KindTest holds;
};

constexpr auto kKindTests = std::to_array<NamedKindTest>({
    {"defined", [](const Value& v) { return !v.isUndefined(); }},
    {"undefined", [](const Value& v) { return v.isUndefined(); }},
    {"none", [](const Value& v) { return v.isNone(); }},
    {"boolean", [](const Value& v) { return v.is<bool>(); }},
    {"true", [](const Value& v) { return v.is<bool>() && v.truth(); }},
    {"false", [](const Value& v) { return v.is<bool>() && !v.truth(); }},
    {"string", [](const Value& v) { return v.text() != nullptr; }},
    {"number", [](const Value& v) { return v.isNumber(); }},
    {"integer", [](const Value& v) { return v.is<int64_t>(); }},
    {"float", [](const Value& v) { return v.is<double>(); }},
    {"mapping", [](const Value& v) { return v.dict() != nullptr; }},
    {"sequence", [](const Value& v) { return v.text() || v.list() || v.dict(); }},
    {"iterable",
     [](const Value& v) { return v.text() || v.list() || v.dict() || v.isUndefined(); }},
    {"callable", [](const Value& v) { return v.macro() || v.function(); }},
});

// Comparisons by the names they have as tests.
constexpr std::pair<std::string_view, std::string_view> kComparisons[] = {
    {"equalto", "=="}, {"eq", "=="},    {"==", "=="},         {"ne", "!="}, {"!=", "!="},
    {"lt", "<"},       {"<", "<"},      {"lessthan", "<"},    {"le", "<="}, {"<=", "<="},
    {"gt", ">"},       {">", ">"},      {"greaterthan", ">"}, {"ge", ">="}, {">=", ">="},
    {"in", "in"},      {"sameas", "=="}};

Result<bool> remainderIs(const Value& value, const Value& divisor, int64_t wanted, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(const Value rest, applyArithmetic("%", value, divisor, budget));
  return rest.isNumber() && rest.number() == static_cast<double>(wanted);
}

Result<bool> hasCase(const Value& value, Case wanted, Budget& budget) {
  if (!value.text()) return false;
  SPOLIA_RETURN_IF_ERROR(budget.make(value.text()->size()));
  const Case other = wanted == Case::kUpper ? Case::kLower : Case::kUpper;
  const std::string& bytes = value.text()->bytes();
  return withCase(*value.text(), wanted).bytes() == bytes &&
         withCase(*value.text(), other).bytes() != bytes;
}

}  // namespace

Result<bool> applyTest(std::string_view name, const Value& value, const Arguments& arguments,
                       Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  const auto kind = std::ranges::find(kKindTests, name, &NamedKindTest::name);
  if (kind != kKindTests.end()) return kind->holds(value);
  if (name == "odd") return remainderIs(value, Value(int64_t{2}), 1, budget);
  if (name == "even") return remainderIs(value, Value(int64_t{2}), 0, budget);
  if (name == "lower") return hasCase(value, Case::kLower, budget);
  if (name == "upper") return hasCase(value, Case::kUpper, budget);
  const auto comparison =
      std::ranges::find(kComparisons, name, &std::pair<std::string_view, std::string_view>::first);
  if (comparison == std::end(kComparisons) && name != "divisibleby") {
    return Status(ErrorCode::kUnsupported, "there is no test \"" + std::string(name) + "\"");
  }
  if (arguments.positional.size() != 1) {
    return typeError("the test " + std::string(name) + " takes one argument");
  }
  const Value& other = arguments.positional[0];
  if (name == "divisibleby") return remainderIs(value, other, 0, budget);
  return applyComparison(comparison->second, value, other, budget);
}

}  // namespace spolia::engine::jinja
