#include "engine/jinja/text_filters.h"

#include <charconv>
#include <cmath>
#include <unordered_map>

#include "engine/jinja/text_functions.h"
#include "engine/jinja/value_text.h"

namespace spolia::engine::jinja {

namespace {

// Of an argument that is there and not none.
const Value* given(const Arguments& arguments, size_t place, std::string_view name) {
  const Value* value = arguments.find(place, name);
  return value && !value->isNone() && !value->isUndefined() ? value : nullptr;
}

Result<int64_t> integer(const Arguments& arguments, size_t place, std::string_view name,
                        int64_t fallback) {
  const Value* value = given(arguments, place, name);
  int64_t out = fallback;
  if (value && !value->integer(out)) return typeError(std::string(name) + " is no whole number");
  return out;
}

Result<Value> cased(const Value& in, Case wanted, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(in, budget));
  SPOLIA_RETURN_IF_ERROR(budget.make(2 * text.size()));
  return makeText(withCase(text, wanted), budget);
}

Result<Value> trim(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("trim", 1, {"chars"}));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(in, budget));
  const Value* set = given(arguments, 0, "chars");
  if (set && !set->text()) return typeError("chars is no string");
  SPOLIA_RETURN_IF_ERROR(budget.scan(text.size() * (set ? 1 + set->text()->size() / 4 : 1)));
  return makeText(set ? strip(text, Side::kBoth, set->text()->bytes()) : strip(text, Side::kBoth),
                  budget);
}

Result<Value> replaceFilter(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("replace", 3, {"old", "new", "count"}));
  const Value* from = arguments.find(0, "old");
  const Value* to = arguments.find(1, "new");
  if (!from || !to) return typeError("replace takes what to look for and what to put there");
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(in, budget));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText old, toText(*from, budget));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText made, toText(*to, budget));
  SPOLIA_ASSIGN_OR_RETURN(const int64_t count, integer(arguments, 2, "count", -1));
  const MostCuts most = count < 0 ? MostCuts() : MostCuts(static_cast<uint64_t>(count));
  SPOLIA_ASSIGN_OR_RETURN(MarkedText out, replace(text, old, made, most, budget));
  return makeText(std::move(out), budget);
}

Result<Value> indent(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("indent", 3, {"width", "first", "blank"}));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(in, budget));
  const Value* width = given(arguments, 0, "width");
  MarkedText blanks;
  if (width && width->text()) {
    blanks = *width->text();
  } else {
    SPOLIA_ASSIGN_OR_RETURN(const int64_t count, integer(arguments, 0, "width", 4));
    if (count > 1000) return typeError("width is more than 1000");
    blanks.append(std::string(static_cast<size_t>(std::max<int64_t>(0, count)), ' '));
  }
  SPOLIA_ASSIGN_OR_RETURN(MarkedText out, indented(text, blanks, arguments.flag(1, "first"),
                                                   arguments.flag(2, "blank"), budget));
  return makeText(std::move(out), budget);
}

Result<Value> json(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(
      arguments.check("tojson", 4, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii = arguments.flag(0, "ensure_ascii");
  style.sortKeys = arguments.flag(3, "sort_keys");
  SPOLIA_ASSIGN_OR_RETURN(style.indent, integer(arguments, 1, "indent", -1));
  if (style.indent >= 0) style.itemSeparator.assign(1, ',');
  if (const Value* separators = given(arguments, 2, "separators")) {
    const List* list = separators->list();
    if (!list || list->items.size() != 2 || !list->items[0].text() || !list->items[1].text()) {
      return typeError("separators are no two strings");
    }
    style.itemSeparator = list->items[0].text()->bytes();
    style.keySeparator = list->items[1].text()->bytes();
  }
  SPOLIA_ASSIGN_OR_RETURN(MarkedText out, toJson(in, style, budget));
  return makeText(std::move(out), budget);
}

// A whole text as a number; nothing where it is none.
template <typename Number>
std::optional<Number> parsed(const Value& in) {
  const MarkedText text = strip(*in.text(), Side::kBoth);
  const std::string& bytes = text.bytes();
  const char* begin = bytes.data() + (bytes.starts_with('+') ? 1 : 0);
  Number out = 0;
  const auto [end, error] = std::from_chars(begin, bytes.data() + bytes.size(), out);
  if (bytes.empty() || error != std::errc() || end != bytes.data() + bytes.size()) return {};
  return out;
}

std::optional<double> asFloat(const Value& in) {
  return in.text() ? parsed<double>(in) : in.isNumber() ? std::optional(in.number()) : std::nullopt;
}

Result<Value> toInteger(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("int", 1, {"default"}));
  if (in.text()) SPOLIA_RETURN_IF_ERROR(budget.make(in.text()->size()));
  int64_t whole = 0;
  if (in.integer(whole)) return Value(whole);
  if (const auto number = in.text() ? parsed<int64_t>(in) : std::nullopt) return Value(*number);
  const auto number = asFloat(in);
  if (number && std::fabs(*number) < 9.2e18) return Value(static_cast<int64_t>(*number));
  const Value* fallback = arguments.find(0, "default");
  return fallback ? *fallback : Value(int64_t{0});
}

Result<Value> toFloat(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("float", 1, {"default"}));
  if (in.text()) SPOLIA_RETURN_IF_ERROR(budget.make(in.text()->size()));
  if (const auto number = asFloat(in)) return Value(*number);
  const Value* fallback = arguments.find(0, "default");
  return fallback ? *fallback : Value(0.0);
}

Result<Value> absolute(const Value& in, const Arguments&, Budget&) {
  if (!in.isNumber()) return typeError("no abs of " + std::string(in.typeName()));
  int64_t whole = 0;
  if (!in.integer(whole)) return Value(std::fabs(in.number()));
  return whole == INT64_MIN ? Result<Value>(typeError("a number is beyond 64 bits"))
                            : Value(whole < 0 ? -whole : whole);
}

Result<Value> rounded(const Value& in, const Arguments& arguments, Budget&) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("round", 2, {"precision", "method"}));
  if (!in.isNumber()) return typeError("no round of " + std::string(in.typeName()));
  SPOLIA_ASSIGN_OR_RETURN(const int64_t places, integer(arguments, 0, "precision", 0));
  const Value* named = given(arguments, 1, "method");
  const std::string method = named && named->text() ? named->text()->bytes() : "common";
  const double scale = std::pow(10.0, static_cast<double>(places));
  const double scaled = in.number() * scale;
  double out = 0;
  if (method == "common") {
    // As Python: halves to the even neighbour.
    out = std::nearbyint(scaled);
  } else if (method == "ceil" || method == "floor") {
    out = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  } else {
    return typeError("the method of round is common, ceil or floor");
  }
  if (in.is<int64_t>() && method == "common") return Value(static_cast<int64_t>(out / scale));
  return Value(out / scale);
}

Result<Value> asText(const Value& in, const Arguments&, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(MarkedText text, toText(in, budget));
  return Value(std::move(text));
}

using Filter = Result<Value> (*)(const Value&, const Arguments&, Budget&);

template <Case kWanted>
Result<Value> casedFilter(const Value& in, const Arguments&, Budget& budget) {
  return cased(in, kWanted, budget);
}

const std::unordered_map<std::string_view, Filter>& textFilters() {
  static const std::unordered_map<std::string_view, Filter> table = {
      {"trim", trim},
      {"replace", replaceFilter},
      {"indent", indent},
      {"tojson", json},
      {"int", toInteger},
      {"float", toFloat},
      {"abs", absolute},
      {"round", rounded},
      {"string", asText},
      {"safe", [](const Value& in, const Arguments&, Budget&) -> Result<Value> { return in; }},
      {"upper", casedFilter<Case::kUpper>},
      {"lower", casedFilter<Case::kLower>},
      {"capitalize", casedFilter<Case::kCapital>},
      {"title", casedFilter<Case::kTitleWords>},
  };
  return table;
}

}  // namespace

std::optional<Result<Value>> applyTextFilter(std::string_view name, const Value& in,
                                             const Arguments& arguments, Budget& budget) {
  const auto found = textFilters().find(name);
  if (found == textFilters().end()) return std::nullopt;
  return found->second(in, arguments, budget);
}

}  // namespace spolia::engine::jinja
