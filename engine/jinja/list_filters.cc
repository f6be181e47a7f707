#include "engine/jinja/list_filters.h"

#include <algorithm>
#include <unordered_map>

#include "engine/jinja/text_filters.h"
#include "engine/jinja/text_functions.h"
#include "engine/jinja/value_operators.h"
#include "engine/jinja/value_tests.h"
#include "engine/jinja/value_text.h"

namespace spolia::engine::jinja {

namespace {

using Items = std::vector<Value>;

// What an item is judged by: the item, or what its attribute holds; strings in lower case, unless
// case counts.
Result<Value> keyOf(const Value& item, const Value* attribute, bool caseCounts, Budget& budget) {
  Value out = item;
  if (attribute && !attribute->isNone()) {
    SPOLIA_ASSIGN_OR_RETURN(out, attributeOf(item, *attribute, budget));
  }
  if (caseCounts || !out.text()) return out;
  SPOLIA_RETURN_IF_ERROR(budget.make(2 * out.text()->size()));
  return Value(withCase(*out.text(), Case::kLower));
}

// Stable; `keys` go with `items`. Errors of compare() end it.
Result<Items> sorted(Items items, Items keys, bool reverse, Budget& budget) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  // Merge sort by halves: unlike std::sort it needs no consistent order, which a comparison that
  // fails in between cannot give.
  std::vector<size_t> merged(order.size());
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, order.size());
      const size_t end = std::min(begin + 2 * width, order.size());
      size_t left = begin, right = middle;
      for (size_t out = begin; out < end; ++out) {
        bool takeRight = left == middle;
        if (!takeRight && right < end) {
          const Value &next = keys[order[right]], &first = keys[order[left]];
          SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(next, first, budget));
          int way = 0;
          if (!same) {
            SPOLIA_ASSIGN_OR_RETURN(way, compare(next, first, budget));
          }
          takeRight = reverse ? way > 0 : way < 0;
        }
        merged[out] = order[takeRight ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  Items out;
  for (const size_t place : order) out.push_back(std::move(items[place]));
  return out;
}

Result<Value> sort(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("sort", 3, {"reverse", "case_sensitive", "attribute"}));
  SPOLIA_ASSIGN_OR_RETURN(Items items, iterate(in, budget));
  Items keys;
  for (const Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(Value key, keyOf(item, arguments.find(2, "attribute"),
                                             arguments.flag(1, "case_sensitive"), budget));
    keys.push_back(std::move(key));
  }
  SPOLIA_ASSIGN_OR_RETURN(
      items, sorted(std::move(items), std::move(keys), arguments.flag(0, "reverse"), budget));
  return makeList(std::move(items), budget);
}

Result<Value> dictsort(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("dictsort", 3, {"case_sensitive", "by", "reverse"}));
  SPOLIA_ASSIGN_OR_RETURN(const Value pairs, itemsOf(in, budget));
  const Value* by = arguments.find(1, "by");
  const bool byValue = by && by->text() && by->text()->bytes() == "value";
  if (by && !byValue && !(by->text() && by->text()->bytes() == "key")) {
    return typeError("dictsort sorts by \"key\" or \"value\"");
  }
  Items keys;
  for (const Value& pair : pairs.list()->items) {
    SPOLIA_ASSIGN_OR_RETURN(Value key, keyOf(pair.list()->items[byValue ? 1 : 0], nullptr,
                                             arguments.flag(0, "case_sensitive"), budget));
    keys.push_back(std::move(key));
  }
  SPOLIA_ASSIGN_OR_RETURN(Items items, sorted(pairs.list()->items, std::move(keys),
                                              arguments.flag(2, "reverse"), budget));
  return makeList(std::move(items), budget);
}

Result<Value> unique(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("unique", 2, {"case_sensitive", "attribute"}));
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  Items out, keys;
  for (const Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(Value key, keyOf(item, arguments.find(1, "attribute"),
                                             arguments.flag(0, "case_sensitive"), budget));
    bool known = false;
    for (size_t i = 0; i < keys.size() && !known; ++i) {
      SPOLIA_ASSIGN_OR_RETURN(known, equals(keys[i], key, budget));
    }
    if (known) continue;
    out.push_back(item);
    keys.push_back(std::move(key));
  }
  return makeList(std::move(out), budget);
}

Result<Value> join(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("join", 2, {"d", "attribute"}));
  const Value* between = arguments.find(0, "d");
  MarkedText separator;
  if (between) {
    SPOLIA_ASSIGN_OR_RETURN(separator, toText(*between, budget));
  }
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  MarkedText out;
  for (size_t i = 0; i < items.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const Value item,
                            keyOf(items[i], arguments.find(1, "attribute"), true, budget));
    SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(item, budget));
    if (i > 0) {
      SPOLIA_RETURN_IF_ERROR(budget.make(separator.size()));
      out.append(separator);
    }
    out.append(text);
  }
  return makeText(std::move(out), budget);
}

Result<Value> map(const Value& in, const Arguments& arguments, Budget& budget) {
  const Budget::Level level(budget);  // map("map", "map", ...)
  SPOLIA_RETURN_IF_ERROR(level.check());
  SPOLIA_RETURN_IF_ERROR(budget.step(1 + arguments.positional.size()));
  SPOLIA_ASSIGN_OR_RETURN(Items items, iterate(in, budget));
  const Value* attribute = arguments.find(arguments.positional.size(), "attribute");
  if (arguments.positional.empty() && attribute) {
    SPOLIA_RETURN_IF_ERROR(arguments.check("map", 0, {"attribute", "default"}));
    const Value* fallback = arguments.find(0, "default");
    for (Value& item : items) {
      SPOLIA_ASSIGN_OR_RETURN(item, attributeOf(item, *attribute, budget));
      if (item.isUndefined() && fallback) item = *fallback;
    }
    return makeList(std::move(items), budget);
  }
  if (arguments.positional.empty() || !arguments.positional[0].text()) {
    return typeError("map takes the name of a filter, or attribute=");
  }
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  for (Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(
        item, applyFilter(arguments.positional[0].text()->bytes(), item, rest, budget));
  }
  return makeList(std::move(items), budget);
}

// select, reject, selectattr and rejectattr.
Result<Value> chosen(const Value& in, const Arguments& arguments, bool byAttribute, bool wanted,
                     Budget& budget) {
  Arguments rest = arguments;
  Value attribute(None{});
  if (byAttribute) {
    if (rest.positional.empty()) return typeError("the name of an attribute is missing");
    attribute = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
  }
  std::string test;
  if (!rest.positional.empty()) {
    if (!rest.positional[0].text()) return typeError("the name of a test is no string");
    test = rest.positional[0].text()->bytes();
    rest.positional.erase(rest.positional.begin());
  }
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  Items out;
  for (const Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(const Value key, keyOf(item, &attribute, true, budget));
    bool holds = key.truth();
    if (!test.empty()) {
      SPOLIA_ASSIGN_OR_RETURN(holds, applyTest(test, key, rest, budget));
    }
    if (holds == wanted) out.push_back(item);
  }
  return makeList(std::move(out), budget);
}

Result<Value> length(const Value& in, const Arguments&, Budget& budget) {
  const auto number = [](size_t count) { return Value(static_cast<int64_t>(count)); };
  if (in.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(in.text()->size()));
    return number(characterCount(in.text()->bytes()));
  }
  if (in.list()) return number(in.list()->items.size());
  if (in.dict()) return number(in.dict()->entries.size());
  if (in.isUndefined()) return number(0);
  return typeError(std::string(in.typeName()) + " has no length");
}

Result<Value> reverse(const Value& in, const Arguments&, Budget& budget) {
  if (in.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.make(in.text()->size()));
    return makeText(reversed(*in.text()), budget);
  }
  SPOLIA_ASSIGN_OR_RETURN(Items items, iterate(in, budget));
  std::ranges::reverse(items);
  return makeList(std::move(items), budget);
}

Result<Value> end(const Value& in, bool last, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  if (items.empty()) return Value();
  return last ? items.back() : items.front();
}

Result<Value> extreme(const Value& in, const Arguments& arguments, bool largest, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  Value out, best;
  for (const Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(Value key, keyOf(item, arguments.find(1, "attribute"),
                                             arguments.flag(0, "case_sensitive"), budget));
    int way = largest ? 1 : -1;
    if (!best.isUndefined()) {
      SPOLIA_ASSIGN_OR_RETURN(way, compare(key, best, budget));
    }
    if (largest ? way <= 0 : way >= 0) continue;
    out = item;
    best = std::move(key);
  }
  return out;
}

Result<Value> sum(const Value& in, const Arguments& arguments, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(const Items items, iterate(in, budget));
  const Value* start = arguments.find(1, "start");
  Value out = start ? *start : Value(int64_t{0});
  for (const Value& item : items) {
    SPOLIA_ASSIGN_OR_RETURN(const Value key,
                            keyOf(item, arguments.find(0, "attribute"), true, budget));
    SPOLIA_ASSIGN_OR_RETURN(out, applyArithmetic("+", out, key, budget));
  }
  return out;
}

Result<Value> fallback(const Value& in, const Arguments& arguments, Budget&) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("default", 2, {"default_value", "boolean"}));
  if (!in.isUndefined() && !(arguments.flag(1, "boolean") && !in.truth())) return in;
  const Value* given = arguments.find(0, "default_value");
  return given ? *given : Value("");
}

Result<Value> listOf(const Value& in, const Arguments&, Budget& budget) {
  SPOLIA_ASSIGN_OR_RETURN(Items items, iterate(in, budget));
  return makeList(std::move(items), budget);
}

using Filter = Result<Value> (*)(const Value&, const Arguments&, Budget&);

template <bool kByAttribute, bool kWanted>
Result<Value> chosenFilter(const Value& in, const Arguments& arguments, Budget& budget) {
  return chosen(in, arguments, kByAttribute, kWanted, budget);
}

const std::unordered_map<std::string_view, Filter>& filters() {
  static const std::unordered_map<std::string_view, Filter> table = {
      {"default", fallback},
      {"d", fallback},
      {"length", length},
      {"count", length},
      {"list", listOf},
      {"first", [](const Value& in, const Arguments&, Budget& b) { return end(in, false, b); }},
      {"last", [](const Value& in, const Arguments&, Budget& b) { return end(in, true, b); }},
      {"reverse", reverse},
      {"join", join},
      {"map", map},
      {"select", chosenFilter<false, true>},
      {"reject", chosenFilter<false, false>},
      {"selectattr", chosenFilter<true, true>},
      {"rejectattr", chosenFilter<true, false>},
      {"sort", sort},
      {"dictsort", dictsort},
      {"unique", unique},
      {"sum", sum},
      {"max",
       [](const Value& in, const Arguments& a, Budget& b) { return extreme(in, a, true, b); }},
      {"min",
       [](const Value& in, const Arguments& a, Budget& b) { return extreme(in, a, false, b); }},
      {"items", [](const Value& in, const Arguments&, Budget& b) { return itemsOf(in, b); }},
  };
  return table;
}

}  // namespace

Result<Value> itemsOf(const Value& dict, Budget& budget) {
  Items out;
  if (dict.isUndefined()) return makeList(std::move(out), budget);
  if (!dict.dict()) return typeError("items of " + std::string(dict.typeName()));
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(4 * dict.dict()->entries.size()));
  for (const auto& [key, value] : dict.dict()->entries) {
    SPOLIA_ASSIGN_OR_RETURN(Value pair, makeList({Value(key), value}, budget, true));
    out.push_back(std::move(pair));
  }
  return makeList(std::move(out), budget);
}

Result<Value> applyFilter(std::string_view name, const Value& in, const Arguments& arguments,
                          Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  if (auto made = applyTextFilter(name, in, arguments, budget)) return *std::move(made);
  const auto found = filters().find(name);
  if (found == filters().end()) {
    return Status(ErrorCode::kUnsupported, "there is no filter \"" + std::string(name) + "\"");
  }
  return found->second(in, arguments, budget);
}

}  // namespace spolia::engine::jinja
