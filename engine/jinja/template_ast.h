// What a template means once it is parsed: statements and expressions, each with its place. Made by
// the parsers, never changed afterwards; const use from any thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/jinja/template_lexer.h"
#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind : uint8_t {
  kConstant,   // value
  kName,       // name
  kList,       // parts
  kTuple,      // parts
  kDict,       // parts: key, value, key, value ...
  kMember,     // parts[0].name
  kItem,       // parts[0][parts[1]]
  kSlice,      // parts[0][parts[1] : parts[2] : parts[3]], each but the first may be null
  kCall,       // parts[0](arguments)
  kFilter,     // parts[0] | name(arguments); parts[0] null within {% filter %}
  kTest,       // parts[0] is name(arguments)
  kUnary,      // name parts[0]: "-", "+", "not"
  kBinary,     // parts[0] name parts[1]: arithmetic, "and", "or"
  kJoin,       // parts[0] ~ parts[1] ~ ...
  kCompare,    // parts[0] names[0] parts[1] names[1] parts[2] ...: "==", "in", "not in" ...
  kCondition,  // parts[0] if parts[1] else parts[2], which may be null
};

enum class ArgumentKind : uint8_t {
  kPlain,  // value, or name=value
  kList,   // *value
  kDict,   // **value
};

struct Argument {
  std::string name;  // empty: by place
  ExpressionPtr value;
  ArgumentKind kind = ArgumentKind::kPlain;
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  Place place;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> parts;
  std::vector<std::string> names;
  std::vector<Argument> arguments;
  uint32_t depth = 1;  // of the tree
};

struct Statement;
using StatementPtr = std::unique_ptr<const Statement>;
using Block = std::vector<StatementPtr>;

// What is assigned to: a name, a namespace's field, or several of these.
struct Target {
  std::string name;
  std::string field;  // empty: the name itself
  std::vector<Target> several;
};

struct Parameter {
  std::string name;
  ExpressionPtr fallback;  // null: undefined without an argument
};

enum class StatementKind : uint8_t {
  kText,      // text
  kOutput,    // value
  kIf,        // branches; the last one's condition is null for else
  kFor,       // target in value if condition: body, else otherwise
  kSet,       // target = value
  kSetBlock,  // target = body, through `value`, a chain of filters, where there is one
  kMacro,     // name(parameters): body
  kCall,      // value, a call, with `caller` = (parameters): body
  kFilter,    // value, a chain of filters, over body
  kWith,      // assignments, then body
  kScope,     // body, names set in it stay in it
  kBreak,
  kContinue,
};

struct Branch {
  ExpressionPtr condition;
  Block body;
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  Place place;
  MarkedText text;
  std::string name;
  Target target;
  ExpressionPtr value;
  ExpressionPtr condition;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  std::vector<Parameter> parameters;
  Block body;
  Block otherwise;
};

// How deep a template may nest, in brackets and operators, or in blocks.
inline constexpr uint32_t kMaxExpressionDepth = 100;
inline constexpr uint32_t kMaxBlockDepth = 50;

}  // namespace spolia::engine::jinja
