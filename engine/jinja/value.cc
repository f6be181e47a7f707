#include "engine/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/jinja/text_functions.h"

namespace spolia::engine::jinja {

Value::Value(List list) : data_(std::make_shared<const List>(std::move(list))) {}
Value::Value(Dict dict) : data_(std::make_shared<const Dict>(std::move(dict))) {}
Value::Value(Function value) : data_(std::make_shared<const Function>(std::move(value))) {}

bool Value::integer(int64_t& out) const {
  if (const bool* value = std::get_if<bool>(&data_)) {
    out = *value ? 1 : 0;
  } else if (const int64_t* number = std::get_if<int64_t>(&data_)) {
    out = *number;
  } else {
    return false;
  }
  return true;
}

double Value::number() const {
  if (const double* value = std::get_if<double>(&data_)) return *value;
  int64_t whole = 0;
  integer(whole);
  return static_cast<double>(whole);
}

bool Value::truth() const {
  if (isUndefined() || isNone()) return false;
  if (isNumber()) return number() != 0;
  if (text()) return !text()->empty();
  if (list()) return !list()->items.empty();
  if (dict()) return !dict()->entries.empty();
  return true;
}

std::string_view Value::typeName() const {
  if (list()) return list()->tuple ? "tuple" : "list";
  constexpr std::string_view kNames[] = {"undefined", "None", "bool",  "int",
                                         "float",     "str",  "list",  "dict",
                                         "namespace", "loop", "macro", "method"};
  return kNames[data_.index()];
}

uint32_t Value::depth() const {
  return list() ? list()->depth : dict() ? dict()->depth : 0;
}

const Value* Dict::find(std::string_view key) const {
  const auto at =
      std::ranges::find_if(entries, [&](const Entry& entry) { return entry.first.bytes() == key; });
  return at == entries.end() ? nullptr : &at->second;
}

void Dict::set(const MarkedText& key, Value value) {
  for (Entry& entry : entries) {
    if (entry.first.bytes() != key.bytes()) continue;
    entry.second = std::move(value);
    return;
  }
  entries.emplace_back(key, std::move(value));
}

const Value* Arguments::find(size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool Arguments::flag(size_t place, std::string_view name) const {
  const Value* value = find(place, name);
  return value && value->truth();
}

Status Arguments::check(std::string_view function, size_t most,
                        std::initializer_list<std::string_view> names) const {
  if (positional.size() > most) {
    return typeError(std::string(function) + " takes at most " + std::to_string(most) +
                     " arguments, found " + std::to_string(positional.size()));
  }
  for (const auto& [key, value] : named) {
    if (std::ranges::find(names, key) == names.end()) {
      return typeError(std::string(function) + " has no argument \"" + key + "\"");
    }
  }
  return {};
}

Status typeError(std::string message) {
  return Status(ErrorCode::kInvalidArgument, std::move(message));
}

namespace {

Status tooDeep() {
  return Status(ErrorCode::kResourceExhausted,
                "lists and dicts nest deeper than " + std::to_string(kMaxValueDepth));
}

// With the depth that follows from what is in it.
Result<Value> finished(List list) {
  for (const Value& item : list.items) list.depth = std::max(list.depth, item.depth() + 1);
  return list.depth > kMaxValueDepth ? Result<Value>(tooDeep()) : Value(std::move(list));
}

Result<Value> finished(Dict dict) {
  for (const auto& [key, item] : dict.entries) dict.depth = std::max(dict.depth, item.depth() + 1);
  return dict.depth > kMaxValueDepth ? Result<Value>(tooDeep()) : Value(std::move(dict));
}

Result<Value> jsonValue(const nlohmann::ordered_json& json, uint32_t depth) {
  if (depth > kMaxValueDepth) return tooDeep();
  switch (json.type()) {
    case nlohmann::json::value_t::null:
      return Value(None{});
    case nlohmann::json::value_t::boolean:
      return Value(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= INT64_MAX) return Value(json.get<int64_t>());
      return Value(json.get<double>());
    case nlohmann::json::value_t::number_float:
      return Value(json.get<double>());
    case nlohmann::json::value_t::string:
      return Value(MarkedText(json.get<std::string>(), Origin::kContent));
    case nlohmann::json::value_t::array: {
      List list;
      for (const auto& item : json) {
        SPOLIA_ASSIGN_OR_RETURN(Value value, jsonValue(item, depth + 1));
        list.items.push_back(std::move(value));
      }
      return finished(std::move(list));
    }
    case nlohmann::json::value_t::object: {
      Dict dict;  // JSON's objects hold a key once
      for (const auto& [key, item] : json.items()) {
        SPOLIA_ASSIGN_OR_RETURN(Value value, jsonValue(item, depth + 1));
        dict.entries.emplace_back(MarkedText(key, Origin::kContent), std::move(value));
      }
      return finished(std::move(dict));
    }
    default:
      return typeError("a value that is no JSON");
  }
}

Result<bool> equalLists(const List& a, const List& b, Budget& budget) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(a.items[i], b.items[i], budget));
    if (!same) return false;
  }
  return true;
}

Result<bool> equalDicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    SPOLIA_RETURN_IF_ERROR(budget.step(1 + b.entries.size() / 8));
    const Value* other = b.find(key.bytes());
    if (!other) return false;
    SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(value, *other, budget));
    if (!same) return false;
  }
  return true;
}

Result<int> compareLists(const List& a, const List& b, Budget& budget) {
  for (size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(const bool same, equals(a.items[i], b.items[i], budget));
    if (!same) return compare(a.items[i], b.items[i], budget);
  }
  return a.items.size() < b.items.size() ? -1 : a.items.size() > b.items.size() ? 1 : 0;
}

}  // namespace

Result<Value> makeList(std::vector<Value> items, Budget& budget, bool tuple) {
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(items.size() + 1));
  return finished(List{std::move(items), tuple});
}

Result<Value> makeDict(Dict dict, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * dict.entries.size() + 1));
  return finished(std::move(dict));
}

Result<Value> makeText(MarkedText text, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.make(text.size() + text.ranges().size() * sizeof(OriginRange)));
  return Value(std::move(text));
}

Result<bool> equals(const Value& a, const Value& b, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  if (a.isNumber() && b.isNumber()) {
    int64_t x = 0, y = 0;
    return a.integer(x) && b.integer(y) ? x == y : a.number() == b.number();
  }
  if (a.text() && b.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(std::min(a.text()->size(), b.text()->size())));
    return a.text()->bytes() == b.text()->bytes();
  }
  if (a.list() && b.list()) return equalLists(*a.list(), *b.list(), budget);
  if (a.dict() && b.dict()) return equalDicts(*a.dict(), *b.dict(), budget);
  if (a.isUndefined() || a.isNone()) return a.typeName() == b.typeName();
  if (a.space()) return a.space() == b.space();
  if (a.macro()) return a.macro() == b.macro();
  return false;
}

Result<int> compare(const Value& a, const Value& b, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.step());
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.isNumber() && b.isNumber()) {
    int64_t x = 0, y = 0;
    return a.integer(x) && b.integer(y) ? order(x, y) : order(a.number(), b.number());
  }
  if (a.text() && b.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.scan(std::min(a.text()->size(), b.text()->size())));
    return order(a.text()->bytes(), b.text()->bytes());
  }
  if (a.list() && b.list() && a.list()->tuple == b.list()->tuple) {
    return compareLists(*a.list(), *b.list(), budget);
  }
  return typeError("no order between " + std::string(a.typeName()) + " and " +
                   std::string(b.typeName()));
}

Result<std::vector<Value>> iterate(const Value& value, Budget& budget) {
  if (value.list()) {
    SPOLIA_RETURN_IF_ERROR(budget.makeItems(value.list()->items.size()));
    return value.list()->items;
  }
  std::vector<Value> out;
  if (value.isUndefined()) return out;
  if (value.dict()) {
    SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * value.dict()->entries.size()));
    for (const auto& [key, item] : value.dict()->entries) out.emplace_back(key);
    return out;
  }
  if (value.text()) {
    const MarkedText& text = *value.text();
    SPOLIA_RETURN_IF_ERROR(budget.makeItems(2 * text.size()));
    for (size_t at = 0; at < text.size();) {
      const size_t end = at + characterBytes(text.bytes(), at);
      out.emplace_back(text.slice(at, end));
      at = end;
    }
    return out;
  }
  return typeError(std::string(value.typeName()) + " cannot be iterated over");
}

Result<Value> valueOf(const nlohmann::ordered_json& json) {
  return jsonValue(json, 0);
}

}  // namespace spolia::engine::jinja
