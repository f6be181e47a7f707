#include "engine/jinja/value_operators.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "engine/jinja/text_functions.h"
#include "engine/jinja/value_text.h"

namespace spolia::engine::jinja {

namespace {

std::string between(const Value& a, const Value& b) {
  return " between " + std::string(a.typeName()) + " and " + std::string(b.typeName());
}

Result<Value> tooLargeNumber() {
  return typeError("a number is beyond 64 bits");
}

// Towards minus infinity; b is not 0, and INT64_MIN // -1 does not come here.
int64_t floorDivide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Result<Value> integerPower(int64_t base, int64_t exponent) {
  int64_t out = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) && __builtin_mul_overflow(out, base, &out)) return tooLargeNumber();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return tooLargeNumber();
  }
  return Value(out);
}

Result<Value> onIntegers(std::string_view name, int64_t a, int64_t b) {
  int64_t out = 0;
  if (name == "+") return __builtin_add_overflow(a, b, &out) ? tooLargeNumber() : Value(out);
  if (name == "-") return __builtin_sub_overflow(a, b, &out) ? tooLargeNumber() : Value(out);
  if (name == "*") return __builtin_mul_overflow(a, b, &out) ? tooLargeNumber() : Value(out);
  if (name == "**") {
    if (b >= 0) return integerPower(a, b);
    if (a == 0) return typeError("0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  if (b == 0) return typeError("division by zero");
  if (name == "/") return Value(static_cast<double>(a) / static_cast<double>(b));
  if (a == INT64_MIN && b == -1) return name == "%" ? Value(int64_t{0}) : tooLargeNumber();
  if (name == "//") return Value(floorDivide(a, b));
  return Value(a - floorDivide(a, b) * b);
}

Result<Value> onFloats(std::string_view name, double a, double b) {
  if (name == "+") return Value(a + b);
  if (name == "-") return Value(a - b);
  if (name == "*") return Value(a * b);
  if (name == "**") {
    const double out = std::pow(a, b);
    return std::isfinite(out) ? Result<Value>(Value(out)) : typeError("a power is no number");
  }
  if (b == 0) return typeError("division by zero");
  if (name == "/") return Value(a / b);
  if (name == "//") return Value(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

Result<Value> repeated(const Value& value, int64_t times, Budget& budget) {
  const uint64_t count = times > 0 ? static_cast<uint64_t>(times) : 0;
  const List* list = value.list();
  const uint64_t size = list ? list->items.size() : value.text()->size();
  if (size == 0) return value;
  if (count > budget.limits().bytes / size) return budget.make(budget.limits().bytes + 1);
  if (!list) {
    SPOLIA_RETURN_IF_ERROR(budget.make(count * size));
    MarkedText out;
    for (uint64_t done = 0; done < count;) {  // doubled as long as that fits
      const uint64_t more = done == 0 ? 1 : std::min(done, count - done);
      out.append(done == 0 ? *value.text() : out.slice(0, more * size));
      done += more;
    }
    return makeText(std::move(out), budget);
  }
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(count * size));
  std::vector<Value> out;
  for (uint64_t i = 0; i < count; ++i) {
    out.insert(out.end(), list->items.begin(), list->items.end());
  }
  return makeList(std::move(out), budget, list->tuple);
}

Result<Value> added(const MarkedText& a, const MarkedText& b, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.make(a.size() + b.size()));
  MarkedText out = a;
  out.append(b);
  return makeText(std::move(out), budget);
}

std::optional<int64_t> wholeNumber(const Value& value) {
  int64_t out = 0;
  if (!value.integer(out)) return std::nullopt;
  return out;
}

// Of a container of `size`; from the end when negative.
std::optional<size_t> placeOf(int64_t index, size_t size) {
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(index);
}

// The places first, first + stride ... before last that a slice takes.
struct SlicePlaces {
  int64_t first = 0;
  int64_t last = 0;
  int64_t stride = 1;

  template <typename Take>
  void forEach(Take take) const {
    for (int64_t i = first; stride > 0 ? i < last : i > last;) {
      take(static_cast<size_t>(i));
      if (__builtin_add_overflow(i, stride, &i)) return;
    }
  }
};

Result<SlicePlaces> slicePlaces(size_t size, const Value& begin, const Value& end,
                                const Value& step) {
  const auto given = [](const Value& value) { return !value.isUndefined() && !value.isNone(); };
  for (const Value* bound : {&begin, &end, &step}) {
    if (given(*bound) && !wholeNumber(*bound)) return typeError("a slice takes whole numbers");
  }
  const int64_t stride = given(step) ? *wholeNumber(step) : 1;
  if (stride == 0) return typeError("the step of a slice is 0");
  const auto length = static_cast<int64_t>(size);
  const int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? length : length - 1;
  const auto bounded = [&](const Value& bound, int64_t fallback) {
    if (!given(bound)) return fallback;
    int64_t value = *wholeNumber(bound);
    if (value < 0) value = value < -length ? low : value + length;
    return std::clamp(value, low, high);
  };
  return SlicePlaces{bounded(begin, stride > 0 ? low : high), bounded(end, stride > 0 ? high : low),
                     stride};
}

Result<Value> sliceOfText(const MarkedText& text, const SlicePlaces& places, Budget& budget) {
  MarkedText out;
  if (places.stride == 1) {
    const size_t begin = characterBegin(text.bytes(), static_cast<size_t>(places.first));
    if (places.last <= places.first) return Value(std::move(out));
    const auto count = static_cast<size_t>(places.last - places.first);
    return makeText(
        text.slice(begin,
                   begin + characterBegin(std::string_view(text.bytes()).substr(begin), count)),
        budget);
  }
  SPOLIA_RETURN_IF_ERROR(budget.make(sizeof(size_t) * text.size()));
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); at += characterBytes(text.bytes(), at)) {
    starts.push_back(at);
  }
  starts.push_back(text.size());
  places.forEach([&](size_t place) { out.append(text, starts[place], starts[place + 1]); });
  return makeText(std::move(out), budget);
}

}  // namespace

Result<Value> applyArithmetic(std::string_view name, const Value& a, const Value& b,
                              Budget& budget) {
  if (a.isNumber() && b.isNumber()) {
    const auto x = wholeNumber(a), y = wholeNumber(b);
    return x && y ? onIntegers(name, *x, *y) : onFloats(name, a.number(), b.number());
  }
  if (name == "+" && a.text() && b.text()) return added(*a.text(), *b.text(), budget);
  if (name == "+" && a.list() && b.list() && a.list()->tuple == b.list()->tuple) {
    SPOLIA_RETURN_IF_ERROR(budget.makeItems(a.list()->items.size() + b.list()->items.size()));
    std::vector<Value> out = a.list()->items;
    out.insert(out.end(), b.list()->items.begin(), b.list()->items.end());
    return makeList(std::move(out), budget, a.list()->tuple);
  }
  if (name == "*" && (a.text() || a.list()) && wholeNumber(b)) {
    return repeated(a, *wholeNumber(b), budget);
  }
  if (name == "*" && (b.text() || b.list()) && wholeNumber(a)) {
    return repeated(b, *wholeNumber(a), budget);
  }
  return typeError("no " + std::string(name) + between(a, b));
}

Result<Value> applySign(std::string_view name, const Value& value) {
  if (const auto whole = wholeNumber(value)) {
    if (*whole == INT64_MIN) return tooLargeNumber();
    return Value(name == "-" ? -*whole : *whole);
  }
  if (value.isNumber()) return Value(name == "-" ? -value.number() : value.number());
  return typeError("no sign " + std::string(name) + " of " + std::string(value.typeName()));
}

Result<bool> contains(const Value& container, const Value& item, Budget& budget) {
  if (container.text()) {
    if (!item.text()) return typeError("no \"in\"" + between(item, container));
    SPOLIA_RETURN_IF_ERROR(budget.scan(container.text()->size() + item.text()->size()));
    return container.text()->bytes().find(item.text()->bytes()) != std::string::npos;
  }
  if (container.dict()) {
    SPOLIA_RETURN_IF_ERROR(budget.step(1 + container.dict()->entries.size() / 8));
    return item.text() && container.dict()->find(item.text()->bytes());
  }
  if (container.list()) {
    for (const Value& candidate : container.list()->items) {
      SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(candidate, item, budget));
      if (same) return true;
    }
    return false;
  }
  if (container.isUndefined()) return false;
  return typeError("no \"in\"" + between(item, container));
}

Result<bool> applyComparison(std::string_view name, const Value& a, const Value& b,
                             Budget& budget) {
  if (name == "in" || name == "not in") {
    SPOLIA_ASSIGN_OR_RETURN(const bool in, contains(b, a, budget));
    return in == (name == "in");
  }
  if (name == "==" || name == "!=") {
    SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(a, b, budget));
    return same == (name == "==");
  }
  SPOLIA_ASSIGN_OR_RETURN(const int order, compare(a, b, budget));
  if (name == "<") return order < 0;
  if (name == "<=") return order <= 0;
  if (name == ">") return order > 0;
  return order >= 0;
}

Result<Value> itemOf(const Value& value, const Value& item, Budget& budget) {
  if (const Dict* dict = value.dict()) {
    SPOLIA_RETURN_IF_ERROR(budget.step(1 + dict->entries.size() / 8));
    const Value* found = item.text() ? dict->find(item.text()->bytes()) : nullptr;
    return found ? *found : Value();
  }
  const auto index = wholeNumber(item);
  if (const List* list = value.list(); list && index) {
    const auto place = placeOf(*index, list->items.size());
    return place ? list->items[*place] : Value();
  }
  if (const MarkedText* text = value.text(); text && index) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(2 * text->size()));
    const auto place = placeOf(*index, characterCount(text->bytes()));
    if (!place) return Value();
    const size_t begin = characterBegin(text->bytes(), *place);
    return Value(text->slice(begin, begin + characterBytes(text->bytes(), begin)));
  }
  return Value();
}

Result<Value> sliceOf(const Value& value, const Value& begin, const Value& end, const Value& step,
                      Budget& budget) {
  if (value.list()) {
    const std::vector<Value>& items = value.list()->items;
    SPOLIA_ASSIGN_OR_RETURN(const SlicePlaces places, slicePlaces(items.size(), begin, end, step));
    SPOLIA_RETURN_IF_ERROR(budget.makeItems(items.size()));
    std::vector<Value> out;
    places.forEach([&](size_t place) { out.push_back(items[place]); });
    return makeList(std::move(out), budget, value.list()->tuple);
  }
  if (value.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(3 * value.text()->size()));
    SPOLIA_ASSIGN_OR_RETURN(const SlicePlaces places,
                            slicePlaces(characterCount(value.text()->bytes()), begin, end, step));
    return sliceOfText(*value.text(), places, budget);
  }
  return typeError("no slice of " + std::string(value.typeName()));
}

Result<Value> attributeOf(const Value& value, const Value& path, Budget& budget) {
  if (!path.text()) return itemOf(value, path, budget);
  Value out = value;
  for (const MarkedText& part : split(*path.text(), ".", {})) {
    SPOLIA_RETURN_IF_ERROR(budget.step());
    const std::string& name = part.bytes();
    int64_t index = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, index);
    const bool number = parsed.ec == std::errc() && parsed.ptr == end && !name.empty();
    SPOLIA_ASSIGN_OR_RETURN(out, itemOf(out, number ? Value(index) : Value(part), budget));
  }
  return out;
}

}  // namespace spolia::engine::jinja
