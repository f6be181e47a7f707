// Values of a template: as in Python's Jinja2, by whose rendering models are trained. Immutable but
// for namespaces; cheap to copy. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "codec/base/result.h"
#include "engine/jinja/budget.h"
#include "engine/jinja/marked_text.h"

namespace spolia::engine::jinja {

class Value;
struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Macro;
struct Function;

struct Undefined {};
struct None {};

class Value {
 public:
  Value() = default;  // undefined
  Value(None) : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(MarkedText text) : data_(std::make_shared<const MarkedText>(std::move(text))) {}
  Value(std::string_view text) : Value(MarkedText(text)) {}
  Value(const char* text) : Value(std::string_view(text)) {}
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<Namespace> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Loop> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Macro> value) : data_(std::move(value)) {}
  Value(Function value);

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  bool isUndefined() const { return is<Undefined>(); }
  bool isNone() const { return is<None>(); }
  // bool, int or float.
  bool isNumber() const { return is<bool>() || is<int64_t>() || is<double>(); }

  // What is there, or null.
  const MarkedText* text() const { return shared<const MarkedText>(); }
  const List* list() const { return shared<const List>(); }
  const Dict* dict() const { return shared<const Dict>(); }
  Namespace* space() const { return shared<Namespace>(); }
  std::shared_ptr<Namespace> sharedSpace() const {
    const auto* pointer = std::get_if<std::shared_ptr<Namespace>>(&data_);
    return pointer ? *pointer : nullptr;
  }
  const Loop* loop() const { return shared<const Loop>(); }
  const Macro* macro() const { return shared<const Macro>(); }
  const Function* function() const { return shared<const Function>(); }
  // Of a bool or int; of others nothing.
  bool integer(int64_t& out) const;
  // Of a number.
  double number() const;

  bool truth() const;
  // "str", "list" and so on, as Python calls it.
  std::string_view typeName() const;
  // How many lists and dicts are within each other, this one included.
  uint32_t depth() const;

 private:
  template <typename T>
  T* shared() const {
    const auto* pointer = std::get_if<std::shared_ptr<T>>(&data_);
    return pointer ? pointer->get() : nullptr;
  }

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const MarkedText>,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Loop>, std::shared_ptr<const Macro>,
               std::shared_ptr<const Function>>
      data_;
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  uint32_t depth = 1;  // with what is within
};

// Keys are strings; in the order they were put in.
struct Dict {
  using Entry = std::pair<MarkedText, Value>;
  std::vector<Entry> entries;
  uint32_t depth = 1;

  const Value* find(std::string_view key) const;
  void set(const MarkedText& key, Value value);
};

struct Namespace {
  Dict values;
};

// `loop` within a for.
struct Loop {
  std::shared_ptr<const List> items;
  size_t index = 0;
  int64_t depth = 1;
};

// A global ("range"), or a method of `self` ("strip").
struct Function {
  std::string name;
  Value self;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // By place, else by name; null when it is not given.
  const Value* find(size_t place, std::string_view name) const;
  // Whether it is given and true.
  bool flag(size_t place, std::string_view name) const;
  // kInvalidArgument for more than `most` by place, or a name that is none of `names`.
  Status check(std::string_view function, size_t most,
               std::initializer_list<std::string_view> names = {}) const;
};

// How deep lists and dicts may nest: everything that walks them recurses.
inline constexpr uint32_t kMaxValueDepth = 64;

// Lists and dicts that are made within their budget and depth.
Result<Value> makeList(std::vector<Value> items, Budget& budget, bool tuple = false);
Result<Value> makeDict(Dict dict, Budget& budget);
Result<Value> makeText(MarkedText text, Budget& budget);

// Equality and order of Python. Errors: no order between these types.
Result<bool> equals(const Value& a, const Value& b, Budget& budget);
Result<int> compare(const Value& a, const Value& b, Budget& budget);

// What a for goes through: items, keys, characters; nothing of undefined. kInvalidArgument for
// what cannot be iterated over.
Result<std::vector<Value>> iterate(const Value& value, Budget& budget);

// A variable to render with: its strings are content. kInvalidArgument for what nests too deep.
Result<Value> valueOf(const nlohmann::ordered_json& json);

Status typeError(std::string message);

}  // namespace spolia::engine::jinja
