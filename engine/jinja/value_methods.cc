#include "engine/jinja/value_methods.h"

#include <algorithm>
#include <unordered_map>

#include "engine/jinja/list_filters.h"
#include "engine/jinja/text_functions.h"

namespace spolia::engine::jinja {

namespace {

using TextMethod = Result<Value> (*)(const MarkedText& self, const Arguments&, Budget&);

Status needsText(std::string_view what) {
  return typeError(std::string(what) + " is no string");
}

// The string at `place`; null where none is given.
Result<const MarkedText*> textAt(const Arguments& arguments, size_t place, std::string_view name) {
  const Value* value = arguments.find(place, name);
  if (!value || value->isNone()) return static_cast<const MarkedText*>(nullptr);
  if (!value->text()) return needsText(name);
  return value->text();
}

Result<MostCuts> countAt(const Arguments& arguments, size_t place, std::string_view name) {
  const Value* value = arguments.find(place, name);
  int64_t count = -1;
  if (value && !value->integer(count)) return typeError(std::string(name) + " is no whole number");
  return count < 0 ? MostCuts() : MostCuts(static_cast<uint64_t>(count));
}

template <Side kSide>
Result<Value> stripMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("strip", 1));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* set, textAt(arguments, 0, "chars"));
  SPOLIA_RETURN_IF_ERROR(budget.scan(self.size() * (set ? 1 + set->size() / 4 : 1)));
  return makeText(set ? strip(self, kSide, set->bytes()) : strip(self, kSide), budget);
}

Result<Value> listOfTexts(std::vector<MarkedText> parts, Budget& budget) {
  std::vector<Value> out;
  for (MarkedText& part : parts) out.emplace_back(std::move(part));
  return makeList(std::move(out), budget);
}

template <bool kFromRight>
Result<Value> splitMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("split", 2, {"sep", "maxsplit"}));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* by, textAt(arguments, 0, "sep"));
  SPOLIA_ASSIGN_OR_RETURN(const MostCuts most, countAt(arguments, 1, "maxsplit"));
  if (by && by->empty()) return typeError("the separator is empty");
  // A part for every second byte would be more than there is room for.
  const auto breaks =
      static_cast<uint64_t>(by ? std::ranges::count(self.bytes(), by->bytes().front())
                               : std::ranges::count_if(self.bytes(), [](char c) {
                                   return isSpace(static_cast<unsigned char>(c));
                                 }));
  SPOLIA_RETURN_IF_ERROR(budget.make(self.size()));
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * std::min(breaks, most.value_or(breaks))));
  if (by) {
    return listOfTexts(
        kFromRight ? splitFromRight(self, by->bytes(), most) : split(self, by->bytes(), most),
        budget);
  }
  return listOfTexts(kFromRight ? splitAtSpaceFromRight(self, most) : splitAtSpace(self, most),
                     budget);
}

Result<Value> splitLinesMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("splitlines", 0));
  const auto breaks = std::ranges::count_if(
      self.bytes(), [](char c) { return isSpace(static_cast<unsigned char>(c)) && c != ' '; });
  SPOLIA_RETURN_IF_ERROR(budget.make(self.size()));
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * static_cast<uint64_t>(breaks)));
  return listOfTexts(splitLines(self), budget);
}

// With a string, or one of a tuple of strings.
template <bool kAtEnd>
Result<Value> edgeMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  const std::string_view name = kAtEnd ? "endswith" : "startswith";
  SPOLIA_RETURN_IF_ERROR(arguments.check(name, 1));
  const Value* given = arguments.find(0, "");
  const auto holds = [&](const Value& value) {
    const std::string& edge = value.text()->bytes();
    return kAtEnd ? self.bytes().ends_with(edge) : self.bytes().starts_with(edge);
  };
  if (given && given->text()) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(given->text()->size()));
    return Value(holds(*given));
  }
  if (!given || !given->list()) return needsText(name);
  for (const Value& candidate : given->list()->items) {
    if (!candidate.text()) return needsText(name);
    SPOLIA_RETURN_IF_ERROR(budget.scan(candidate.text()->size()));
    if (holds(candidate)) return Value(true);
  }
  return Value(false);
}

template <bool kAtEnd>
Result<Value> removeEdgeMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check(kAtEnd ? "removesuffix" : "removeprefix", 1));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* edge, textAt(arguments, 0, "the argument"));
  if (!edge) return needsText("the argument");
  const bool there =
      kAtEnd ? self.bytes().ends_with(edge->bytes()) : self.bytes().starts_with(edge->bytes());
  const size_t begin = there && !kAtEnd ? edge->size() : 0;
  const size_t end = there && kAtEnd ? self.size() - edge->size() : self.size();
  return makeText(self.slice(begin, end), budget);
}

Result<Value> replaceMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("replace", 3, {"count"}));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* from, textAt(arguments, 0, "what to look for"));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* to, textAt(arguments, 1, "what to put there"));
  if (!from || !to) return needsText("an argument of replace");
  SPOLIA_ASSIGN_OR_RETURN(const MostCuts most, countAt(arguments, 2, "count"));
  SPOLIA_ASSIGN_OR_RETURN(MarkedText out, replace(self, *from, *to, most, budget));
  return makeText(std::move(out), budget);
}

template <Case kWanted>
Result<Value> caseMethod(const MarkedText& self, const Arguments&, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.make(2 * self.size()));
  return makeText(withCase(self, kWanted), budget);
}

template <bool kFromRight>
Result<Value> findMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("find", 1));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* what, textAt(arguments, 0, "what to look for"));
  if (!what) return needsText("what to look for");
  SPOLIA_RETURN_IF_ERROR(budget.scan(2 * self.size()));
  const size_t at =
      kFromRight ? self.bytes().rfind(what->bytes()) : self.bytes().find(what->bytes());
  if (at == std::string::npos) return Value(int64_t{-1});
  return Value(static_cast<int64_t>(characterCount(std::string_view(self.bytes()).substr(0, at))));
}

Result<Value> countMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("count", 1));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* what, textAt(arguments, 0, "what to count"));
  if (!what || what->empty()) return needsText("what to count");
  SPOLIA_RETURN_IF_ERROR(budget.scan(self.size()));
  int64_t out = 0;
  for (size_t at = self.bytes().find(what->bytes()); at != std::string::npos;
       at = self.bytes().find(what->bytes(), at + what->size())) {
    ++out;
  }
  return Value(out);
}

Result<Value> joinMethod(const MarkedText& self, const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("join", 1));
  const Value* items = arguments.find(0, "");
  if (!items) return typeError("join takes a list");
  return applyFilter("join", *items, {{Value(self)}, {}}, budget);
}

template <bool (*kHolds)(char32_t)>
Result<Value> allMethod(const MarkedText& self, const Arguments&, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.scan(self.size()));
  for (size_t at = 0; at < self.size(); at += characterBytes(self.bytes(), at)) {
    if (!kHolds(characterAt(self.bytes(), at))) return Value(false);
  }
  return Value(!self.empty());
}

bool isDigit(char32_t c) {
  return c >= '0' && c <= '9';
}

const std::unordered_map<std::string_view, TextMethod>& textMethods() {
  static const std::unordered_map<std::string_view, TextMethod> table = {
      {"strip", stripMethod<Side::kBoth>},
      {"lstrip", stripMethod<Side::kLeft>},
      {"rstrip", stripMethod<Side::kRight>},
      {"split", splitMethod<false>},
      {"rsplit", splitMethod<true>},
      {"splitlines", splitLinesMethod},
      {"startswith", edgeMethod<false>},
      {"endswith", edgeMethod<true>},
      {"removeprefix", removeEdgeMethod<false>},
      {"removesuffix", removeEdgeMethod<true>},
      {"replace", replaceMethod},
      {"upper", caseMethod<Case::kUpper>},
      {"lower", caseMethod<Case::kLower>},
      {"capitalize", caseMethod<Case::kCapital>},
      {"title", caseMethod<Case::kTitle>},
      {"find", findMethod<false>},
      {"rfind", findMethod<true>},
      {"count", countMethod},
      {"join", joinMethod},
      {"isspace", allMethod<isSpace>},
      {"isalpha", allMethod<isLetter>},
      {"isdigit", allMethod<isDigit>},
  };
  return table;
}

Result<Value> callOnDict(const Dict& self, const Value& value, std::string_view name,
                         const Arguments& arguments, Budget& budget) {
  if (name == "get") {
    SPOLIA_RETURN_IF_ERROR(arguments.check("get", 2));
    if (arguments.positional.empty()) return typeError("get takes a key");
    SPOLIA_RETURN_IF_ERROR(budget.step(1 + self.entries.size() / 8));
    const MarkedText* key = arguments.positional[0].text();
    const Value* found = key ? self.find(key->bytes()) : nullptr;
    const Value* fallback = arguments.find(1, "");
    return found ? *found : fallback ? *fallback : Value(None{});
  }
  SPOLIA_RETURN_IF_ERROR(arguments.check(name, 0));
  if (name == "copy") return value;
  if (name == "items") return itemsOf(value, budget);
  std::vector<Value> out;
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * self.entries.size()));
  for (const auto& [key, item] : self.entries) out.push_back(name == "keys" ? Value(key) : item);
  return makeList(std::move(out), budget);
}

Result<Value> callOnList(const List& self, std::string_view name, const Arguments& arguments,
                         Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check(name, 1));
  if (arguments.positional.empty()) return typeError(std::string(name) + " takes an item");
  int64_t count = 0;
  for (size_t i = 0; i < self.items.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const bool same,
                            equals(self.items[i], arguments.positional[0], budget));
    if (same && name == "index") return Value(static_cast<int64_t>(i));
    count += same ? 1 : 0;
  }
  if (name == "index") return typeError("index: the item is not in the list");
  return Value(count);
}

}  // namespace

bool hasMethod(const Value& self, std::string_view name) {
  constexpr std::string_view kOfDicts[] = {"get", "items", "keys", "values", "copy"};
  if (self.text()) return textMethods().contains(name);
  if (self.dict()) return std::ranges::count(kOfDicts, name) > 0;
  if (self.list()) return name == "index" || name == "count";
  return false;
}

Result<Value> callMethod(const Value& self, std::string_view name, const Arguments& arguments,
                         Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  if (!hasMethod(self, name)) {
    return typeError(std::string(self.typeName()) + " has no method \"" + std::string(name) + "\"");
  }
  if (self.text()) return textMethods().at(name)(*self.text(), arguments, budget);
  if (self.dict()) return callOnDict(*self.dict(), self, name, arguments, budget);
  return callOnList(*self.list(), name, arguments, budget);
}

namespace {

Result<Value> range(const Arguments& arguments, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("range", 3));
  int64_t bounds[3] = {0, 0, 1};
  const size_t given = arguments.positional.size();
  if (given == 0) return typeError("range takes one to three numbers");
  for (size_t i = 0; i < given; ++i) {
    if (!arguments.positional[i].integer(bounds[given == 1 ? 1 : i])) {
      return typeError("range takes whole numbers");
    }
  }
  const auto [begin, end, step] = bounds;
  if (step == 0) return typeError("the step of range is 0");
  const double length =
      step > 0
          ? (static_cast<double>(end) - static_cast<double>(begin)) / static_cast<double>(step)
          : (static_cast<double>(begin) - static_cast<double>(end)) / -static_cast<double>(step);
  const uint64_t items = length > 0 ? static_cast<uint64_t>(std::min(length, 1e18)) : 0;
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(items));
  std::vector<Value> out;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    out.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return makeList(std::move(out), budget);
}

// namespace(a=1), dict({"a": 1}, b=2), dict([("a", 1)]).
Result<Dict> entries(std::string_view name, const Arguments& arguments, Budget& budget) {
  Dict out;
  if (arguments.positional.size() > 1) {
    return typeError(std::string(name) + " takes one value at most, and others by name");
  }
  if (!arguments.positional.empty()) {
    const Value& first = arguments.positional[0];
    if (first.dict()) {
      SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * first.dict()->entries.size()));
      out = *first.dict();
    } else {
      SPOLIA_ASSIGN_OR_RETURN(const std::vector<Value> pairs, iterate(first, budget));
      for (const Value& pair : pairs) {
        const List* both = pair.list();
        if (!both || both->items.size() != 2 || !both->items[0].text()) {
          return typeError(std::string(name) + " takes a dict or a list of pairs");
        }
        SPOLIA_RETURN_IF_ERROR(budget.step(1 + out.entries.size() / 8));
        out.set(*both->items[0].text(), both->items[1]);
      }
    }
  }
  for (const auto& [key, value] : arguments.named) {
    SPOLIA_RETURN_IF_ERROR(budget.step(1 + out.entries.size() / 8));
    out.set(MarkedText(std::string_view(key)), value);
  }
  return out;
}

Result<Value> timeText(const Arguments& arguments, const std::tm& now, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(arguments.check("strftime_now", 1, {"format"}));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText* format, textAt(arguments, 0, "format"));
  constexpr size_t kMostBytes = 200;
  if (!format || format->size() > kMostBytes) {
    return typeError("strftime_now takes a format of at most 200 bytes");
  }
  // Widths would make much of little.
  for (size_t at = format->bytes().find('%'); at != std::string::npos;
       at = format->bytes().find('%', at + 2)) {
    const char next = at + 1 < format->size() ? format->bytes()[at + 1] : ' ';
    if (std::string_view("aAbBcdDeFHIjmMnpSTuwxXyYZz%-").find(next) == std::string_view::npos) {
      return typeError("strftime_now does not know %" + std::string(1, next));
    }
  }
  std::string out(64 * kMostBytes, '\0');
  out.resize(std::strftime(out.data(), out.size(), format->bytes().c_str(), &now));
  return makeText(MarkedText(std::move(out), Origin::kTemplate), budget);
}

}  // namespace

bool isGlobal(std::string_view name) {
  constexpr std::string_view kNames[] = {"range", "namespace", "dict", "raise_exception",
                                         "strftime_now"};
  return std::ranges::count(kNames, name) > 0;
}

Result<Value> callGlobal(std::string_view name, const Arguments& arguments, const std::tm& now,
                         Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  if (name == "range") return range(arguments, budget);
  if (name == "strftime_now") return timeText(arguments, now, budget);
  if (name == "raise_exception") {
    SPOLIA_ASSIGN_OR_RETURN(const MarkedText* message, textAt(arguments, 0, "message"));
    return typeError(message ? message->bytes().substr(0, 1000) : "the template gives up");
  }
  SPOLIA_ASSIGN_OR_RETURN(Dict made, entries(name, arguments, budget));
  if (name == "dict") return makeDict(std::move(made), budget);
  auto space = std::make_shared<Namespace>();
  space->values = std::move(made);
  return Value(std::move(space));
}

}  // namespace spolia::engine::jinja
