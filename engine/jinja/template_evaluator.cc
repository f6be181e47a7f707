#include "engine/jinja/template_evaluator.h"

#include <algorithm>

#include "engine/jinja/list_filters.h"
#include "engine/jinja/value_methods.h"
#include "engine/jinja/value_operators.h"
#include "engine/jinja/value_tests.h"
#include "engine/jinja/value_text.h"

namespace spolia::engine::jinja {

// The body of a macro or a call, with the names it was defined among.
struct Macro {
  const Statement* definition = nullptr;
  ScopePtr scope;
};

namespace {

constexpr uint64_t kScopeBytes = 256;

ScopePtr within(const ScopePtr& parent) {
  auto out = std::make_shared<Scope>();
  out->parent = parent;
  return out;
}

const Value* findName(const Scope* scope, const std::string& name) {
  for (; scope; scope = scope->parent.get()) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return &found->second;
  }
  return nullptr;
}

// Puts a value in place of another while it exists.
template <typename T>
class Swapped {
 public:
  Swapped(T& place, T value) : place_(place), before_(std::exchange(place, std::move(value))) {}
  ~Swapped() { place_ = std::move(before_); }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  T& place_;
  T before_;
};

Value loopMember(const Loop& loop, const std::string& name) {
  const std::vector<Value>& items = loop.items->items;
  const auto index = static_cast<int64_t>(loop.index), size = static_cast<int64_t>(items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  if (name == "depth") return loop.depth;
  if (name == "depth0") return loop.depth - 1;
  if (name == "previtem") return index > 0 ? items[loop.index - 1] : Value();
  if (name == "nextitem") return index + 1 < size ? items[loop.index + 1] : Value();
  return {};
}

// What an undefined expression is called in errors.
std::string nameOf(const Expression& expression) {
  if (expression.kind == ExpressionKind::kName) return "\"" + expression.name + "\" is undefined";
  if (expression.kind == ExpressionKind::kMember) {
    return "there is no field \"" + expression.name + "\"";
  }
  return "the value is undefined";
}

}  // namespace

Circles::~Circles() {
  for (const auto& scope : scopes_) scope->names.clear();
  for (const auto& space : spaces_) space->values.entries.clear();
}

Evaluator::Evaluator(Budget& budget, const std::vector<std::pair<std::string, Value>>& variables,
                     const std::tm& now)
    : budget_(budget), now_(now), scope_(std::make_shared<Scope>()) {
  for (const auto& [name, value] : variables) scope_->names[name] = value;
}

Status Evaluator::located(const Place& place, const Status& failure) {
  if (located_) return failure;
  located_ = true;
  return at(place, failure);
}

Result<MarkedText> Evaluator::run(const Block& block) {
  MarkedText out;
  const Swapped<MarkedText*> buffer(out_, &out);
  SPOLIA_ASSIGN_OR_RETURN(const Flow flow, execute(block));
  if (flow != Flow::kNext) return typeError("break or continue stands in no loop");
  return out;
}

Status Evaluator::write(const MarkedText& text) {
  SPOLIA_RETURN_IF_ERROR(budget_.write(out_->size(), text.size()));
  out_->append(text);
  return {};
}

Result<Evaluator::Flow> Evaluator::execute(const Block& block) {
  for (const StatementPtr& statement : block) {
    const Budget::Level level(budget_);
    Status allowed = budget_.step();
    if (allowed.ok()) allowed = level.check();
    if (!allowed.ok()) return located(statement->place, allowed);
    const Result<Flow> flow = execute(*statement);
    if (!flow.ok()) return located(statement->place, flow.status());
    if (*flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Evaluator::Flow> Evaluator::execute(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::kText:
      SPOLIA_RETURN_IF_ERROR(write(statement.text));
      return Flow::kNext;
    case StatementKind::kOutput: {
      SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*statement.value));
      SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(value, budget_));
      SPOLIA_RETURN_IF_ERROR(write(text));
      return Flow::kNext;
    }
    case StatementKind::kIf:
      return executeIf(statement);
    case StatementKind::kFor:
      return executeFor(statement);
    case StatementKind::kSet: {
      SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*statement.value));
      SPOLIA_RETURN_IF_ERROR(assign(statement.target, value));
      return Flow::kNext;
    }
    case StatementKind::kSetBlock:
    case StatementKind::kFilter: {
      SPOLIA_ASSIGN_OR_RETURN(Value value, captured(statement.body));
      if (statement.value) {
        SPOLIA_ASSIGN_OR_RETURN(value, filtered(*statement.value, value));
      }
      if (statement.kind == StatementKind::kSetBlock) {
        SPOLIA_RETURN_IF_ERROR(assign(statement.target, value));
        return Flow::kNext;
      }
      SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(value, budget_));
      SPOLIA_RETURN_IF_ERROR(write(text));
      return Flow::kNext;
    }
    case StatementKind::kMacro:
      scope_->names[statement.name] = macroOf(statement);
      return Flow::kNext;
    case StatementKind::kCall:
      SPOLIA_RETURN_IF_ERROR(executeCall(statement));
      return Flow::kNext;
    case StatementKind::kWith:
      return executeWith(statement);
    case StatementKind::kScope:
      return executeIn(within(scope_), statement.body);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Status(ErrorCode::kInternal, "an unknown statement");
}

Result<Evaluator::Flow> Evaluator::executeIn(ScopePtr scope, const Block& block) {
  SPOLIA_RETURN_IF_ERROR(budget_.make(kScopeBytes));
  const Swapped<ScopePtr> inner(scope_, std::move(scope));
  return execute(block);
}

Value Evaluator::macroOf(const Statement& statement) {
  circles_.keep(scope_);
  return Value(std::make_shared<const Macro>(Macro{&statement, scope_}));
}

// In a scope of its own; break and continue do not leave it.
Result<Value> Evaluator::captured(const Block& block) {
  MarkedText out;
  const Swapped<MarkedText*> buffer(out_, &out);
  SPOLIA_ASSIGN_OR_RETURN(const Flow flow, executeIn(within(scope_), block));
  if (flow != Flow::kNext) return typeError("break or continue stands in no loop");
  return makeText(std::move(out), budget_);
}

Result<Evaluator::Flow> Evaluator::executeIf(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition) {
      SPOLIA_ASSIGN_OR_RETURN(const Value holds, evaluate(*branch.condition));
      if (!holds.truth()) continue;
    }
    return execute(branch.body);
  }
  return Flow::kNext;
}

Result<std::vector<Value>> Evaluator::chosenItems(const Statement& statement) {
  SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*statement.value));
  SPOLIA_ASSIGN_OR_RETURN(std::vector<Value> items, iterate(value, budget_));
  if (!statement.condition) return items;
  std::vector<Value> out;
  for (Value& item : items) {
    SPOLIA_RETURN_IF_ERROR(budget_.make(kScopeBytes));
    const Swapped<ScopePtr> inner(scope_, within(scope_));
    SPOLIA_RETURN_IF_ERROR(assign(statement.target, item));
    SPOLIA_ASSIGN_OR_RETURN(const Value holds, evaluate(*statement.condition));
    if (holds.truth()) out.push_back(std::move(item));
  }
  return out;
}

Result<Evaluator::Flow> Evaluator::executeFor(const Statement& statement) {
  SPOLIA_ASSIGN_OR_RETURN(std::vector<Value> items, chosenItems(statement));
  if (items.empty()) return executeIn(within(scope_), statement.otherwise);
  const auto all = std::make_shared<const List>(List{std::move(items), false, 1});
  const Swapped<int64_t> deeper(loopDepth_, loopDepth_ + 1);
  for (size_t i = 0; i < all->items.size(); ++i) {
    const ScopePtr scope = within(scope_);
    scope->names["loop"] = Value(std::make_shared<const Loop>(Loop{all, i, loopDepth_}));
    SPOLIA_RETURN_IF_ERROR(budget_.make(kScopeBytes));
    const Swapped<ScopePtr> inner(scope_, scope);
    SPOLIA_RETURN_IF_ERROR(assign(statement.target, all->items[i]));
    SPOLIA_ASSIGN_OR_RETURN(const Flow flow, execute(statement.body));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Result<Evaluator::Flow> Evaluator::executeWith(const Statement& statement) {
  const ScopePtr scope = within(scope_);
  for (const auto& [target, expression] : statement.assignments) {
    SPOLIA_ASSIGN_OR_RETURN(scope->names[target.name], evaluate(*expression));
  }
  return executeIn(scope, statement.body);
}

Status Evaluator::executeCall(const Statement& statement) {
  SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluateCall(*statement.value, macroOf(statement)));
  SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(value, budget_));
  return write(text);
}

Status Evaluator::assign(const Target& target, const Value& value) {
  if (!target.several.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(const std::vector<Value> items, iterate(value, budget_));
    if (items.size() != target.several.size()) {
      return typeError("expected " + std::to_string(target.several.size()) +
                       " values to unpack, found " + std::to_string(items.size()));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      SPOLIA_RETURN_IF_ERROR(assign(target.several[i], items[i]));
    }
    return {};
  }
  if (target.field.empty()) {
    scope_->names[target.name] = value;
    return {};
  }
  const Value* holder = findName(scope_.get(), target.name);
  if (!holder || !holder->space()) {
    return typeError("\"" + target.name + "\" is no namespace, whose fields can be set");
  }
  Dict& fields = holder->space()->values;
  SPOLIA_RETURN_IF_ERROR(budget_.makeItems(1));
  SPOLIA_RETURN_IF_ERROR(budget_.step(1 + fields.entries.size() / 8));
  fields.set(MarkedText(std::string_view(target.field)), value);
  return {};
}

Result<Value> Evaluator::evaluate(const Expression& expression) {
  const Budget::Level level(budget_);
  Status allowed = budget_.step();
  if (allowed.ok()) allowed = level.check();
  if (!allowed.ok()) return located(expression.place, allowed);
  Result<Value> out = evaluateKind(expression);
  if (!out.ok()) return located(expression.place, out.status());
  return out;
}

Result<Value> Evaluator::evaluateKind(const Expression& expression) {
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.value;
    case ExpressionKind::kName: {
      const Value* found = findName(scope_.get(), expression.name);
      if (found) return *found;
      return isGlobal(expression.name) ? Value(Function{expression.name, {}}) : Value();
    }
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
      return evaluateList(expression);
    case ExpressionKind::kDict:
      return evaluateDict(expression);
    case ExpressionKind::kMember:
      return evaluateMember(expression);
    case ExpressionKind::kItem:
      return evaluateItem(expression);
    case ExpressionKind::kSlice:
      return evaluateSlice(expression);
    case ExpressionKind::kCall:
      return evaluateCall(expression, {});
    case ExpressionKind::kFilter:
      return filtered(expression, filterInput_);
    case ExpressionKind::kTest: {
      SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*expression.parts[0]));
      SPOLIA_ASSIGN_OR_RETURN(const Arguments arguments, argumentsOf(expression));
      SPOLIA_ASSIGN_OR_RETURN(const bool holds,
                              applyTest(expression.name, value, arguments, budget_));
      return Value(holds);
    }
    case ExpressionKind::kUnary:
      return evaluateUnary(expression);
    case ExpressionKind::kBinary:
      return evaluateBinary(expression);
    case ExpressionKind::kJoin:
      return evaluateJoin(expression);
    case ExpressionKind::kCompare:
      return evaluateCompare(expression);
    case ExpressionKind::kCondition:
      return evaluateCondition(expression);
  }
  return Status(ErrorCode::kInternal, "an unknown expression");
}

Result<Value> Evaluator::evaluateList(const Expression& expression) {
  std::vector<Value> out;
  for (const ExpressionPtr& part : expression.parts) {
    SPOLIA_ASSIGN_OR_RETURN(Value value, evaluate(*part));
    out.push_back(std::move(value));
  }
  return makeList(std::move(out), budget_, expression.kind == ExpressionKind::kTuple);
}

Result<Value> Evaluator::evaluateDict(const Expression& expression) {
  Dict out;
  for (size_t i = 0; i < expression.parts.size(); i += 2) {
    SPOLIA_ASSIGN_OR_RETURN(const Value key, evaluate(*expression.parts[i]));
    if (!key.text()) return typeError("keys of a dict are strings here");
    SPOLIA_ASSIGN_OR_RETURN(Value value, evaluate(*expression.parts[i + 1]));
    SPOLIA_RETURN_IF_ERROR(budget_.step(1 + out.entries.size() / 8));
    out.set(*key.text(), std::move(value));
  }
  return makeDict(std::move(out), budget_);
}

Result<Value> Evaluator::memberOf(const Value& object, const std::string& name) {
  if (hasMethod(object, name)) return Value(Function{name, object});
  if (object.loop()) {
    if (name == "cycle") return Value(Function{name, object});
    return loopMember(*object.loop(), name);
  }
  if (const Namespace* space = object.space()) {
    SPOLIA_RETURN_IF_ERROR(budget_.step(1 + space->values.entries.size() / 8));
    const Value* found = space->values.find(name);
    return found ? *found : Value();
  }
  return object.dict() ? itemOf(object, Value(std::string_view(name)), budget_) : Value();
}

Result<Value> Evaluator::evaluateMember(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(const Value object, evaluate(*expression.parts[0]));
  if (object.isUndefined()) return typeError(nameOf(*expression.parts[0]));
  return memberOf(object, expression.name);
}

// Items go before methods here, the other way round than behind a dot.
Result<Value> Evaluator::evaluateItem(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(const Value object, evaluate(*expression.parts[0]));
  if (object.isUndefined()) return typeError(nameOf(*expression.parts[0]));
  SPOLIA_ASSIGN_OR_RETURN(const Value item, evaluate(*expression.parts[1]));
  SPOLIA_ASSIGN_OR_RETURN(Value out, itemOf(object, item, budget_));
  if (!out.isUndefined() || !item.text()) return out;
  return memberOf(object, item.text()->bytes());
}

Result<Value> Evaluator::evaluateSlice(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(const Value object, evaluate(*expression.parts[0]));
  if (object.isUndefined()) return typeError(nameOf(*expression.parts[0]));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    if (!expression.parts[i + 1]) continue;
    SPOLIA_ASSIGN_OR_RETURN(bounds[i], evaluate(*expression.parts[i + 1]));
  }
  return sliceOf(object, bounds[0], bounds[1], bounds[2], budget_);
}

Result<Value> Evaluator::evaluateUnary(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*expression.parts[0]));
  if (expression.name == "not") return Value(!value.truth());
  return applySign(expression.name, value);
}

Result<Value> Evaluator::evaluateBinary(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(Value left, evaluate(*expression.parts[0]));
  if (expression.name == "and" || expression.name == "or") {
    return left.truth() == (expression.name == "or") ? Result<Value>(std::move(left))
                                                     : evaluate(*expression.parts[1]);
  }
  SPOLIA_ASSIGN_OR_RETURN(const Value right, evaluate(*expression.parts[1]));
  for (size_t i = 0; i < 2; ++i) {
    if ((i == 0 ? left : right).isUndefined()) return typeError(nameOf(*expression.parts[i]));
  }
  return applyArithmetic(expression.name, left, right, budget_);
}

Result<Value> Evaluator::evaluateJoin(const Expression& expression) {
  MarkedText out;
  for (const ExpressionPtr& part : expression.parts) {
    SPOLIA_ASSIGN_OR_RETURN(const Value value, evaluate(*part));
    SPOLIA_ASSIGN_OR_RETURN(const MarkedText text, toText(value, budget_));
    out.append(text);
  }
  return makeText(std::move(out), budget_);
}

// a < b < c: each next one only when the one before holds.
Result<Value> Evaluator::evaluateCompare(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(Value left, evaluate(*expression.parts[0]));
  for (size_t i = 0; i < expression.names.size(); ++i) {
    SPOLIA_ASSIGN_OR_RETURN(Value right, evaluate(*expression.parts[i + 1]));
    SPOLIA_ASSIGN_OR_RETURN(const bool holds,
                            applyComparison(expression.names[i], left, right, budget_));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Evaluator::evaluateCondition(const Expression& expression) {
  SPOLIA_ASSIGN_OR_RETURN(const Value holds, evaluate(*expression.parts[1]));
  if (holds.truth()) return evaluate(*expression.parts[0]);
  return expression.parts[2] ? evaluate(*expression.parts[2]) : Result<Value>(Value());
}

Result<Arguments> Evaluator::argumentsOf(const Expression& expression) {
  Arguments out;
  for (const Argument& argument : expression.arguments) {
    SPOLIA_ASSIGN_OR_RETURN(Value value, evaluate(*argument.value));
    if (argument.kind == ArgumentKind::kList) {
      SPOLIA_ASSIGN_OR_RETURN(const std::vector<Value> items, iterate(value, budget_));
      out.positional.insert(out.positional.end(), items.begin(), items.end());
    } else if (argument.kind == ArgumentKind::kDict) {
      if (!value.dict()) return typeError("what stands behind ** is no dict");
      SPOLIA_RETURN_IF_ERROR(budget_.makeItems(2 * value.dict()->entries.size()));
      for (const auto& [key, item] : value.dict()->entries) {
        out.named.emplace_back(key.bytes(), item);
      }
    } else if (argument.name.empty()) {
      out.positional.push_back(std::move(value));
    } else {
      out.named.emplace_back(argument.name, std::move(value));
    }
  }
  return out;
}

// A chain of filters; the one without an operand takes `innermost`.
Result<Value> Evaluator::filtered(const Expression& chain, const Value& innermost) {
  const Swapped<Value> input(filterInput_, innermost);
  Value value = innermost;
  if (chain.parts[0]) {
    SPOLIA_ASSIGN_OR_RETURN(value, evaluate(*chain.parts[0]));
  }
  SPOLIA_ASSIGN_OR_RETURN(const Arguments arguments, argumentsOf(chain));
  return applyFilter(chain.name, value, arguments, budget_);
}

Result<Value> Evaluator::evaluateCall(const Expression& expression, const Value& caller) {
  SPOLIA_ASSIGN_OR_RETURN(const Value callee, evaluate(*expression.parts[0]));
  SPOLIA_ASSIGN_OR_RETURN(const Arguments arguments, argumentsOf(expression));
  if (callee.isUndefined()) return typeError(nameOf(*expression.parts[0]));
  return call(callee, arguments, caller);
}

Result<Value> Evaluator::call(const Value& callee, const Arguments& arguments,
                              const Value& caller) {
  if (callee.macro()) return callMacro(*callee.macro(), arguments, caller);
  const Function* function = callee.function();
  if (!function) return typeError(std::string(callee.typeName()) + " cannot be called");
  if (const Loop* loop = function->self.loop()) {  // loop.cycle("a", "b")
    if (arguments.positional.empty()) return typeError("cycle takes values");
    return arguments.positional[loop->index % arguments.positional.size()];
  }
  if (!function->self.isUndefined()) {
    return callMethod(function->self, function->name, arguments, budget_);
  }
  SPOLIA_ASSIGN_OR_RETURN(Value out, callGlobal(function->name, arguments, now_, budget_));
  if (auto space = out.sharedSpace()) {
    SPOLIA_RETURN_IF_ERROR(budget_.make(kScopeBytes));
    circles_.keep(std::move(space));
  }
  return out;
}

Result<Value> Evaluator::callMacro(const Macro& macro, const Arguments& arguments,
                                   const Value& caller) {
  const Statement& definition = *macro.definition;
  const ScopePtr scope = within(macro.scope);
  for (const auto& [name, value] : arguments.named) {
    if (std::ranges::count(definition.parameters, name, &Parameter::name) == 0) {
      return typeError("\"" + definition.name + "\" has no parameter \"" + name + "\"");
    }
  }
  if (arguments.positional.size() > definition.parameters.size()) {
    return typeError("\"" + definition.name + "\" takes at most " +
                     std::to_string(definition.parameters.size()) + " arguments");
  }
  const Swapped<ScopePtr> inner(scope_, scope);
  if (!caller.isUndefined()) scope->names["caller"] = caller;
  for (size_t i = 0; i < definition.parameters.size(); ++i) {
    const Parameter& parameter = definition.parameters[i];
    const Value* given = arguments.find(i, parameter.name);
    if (given || !parameter.fallback) {
      scope->names[parameter.name] = given ? *given : Value();
    } else {
      SPOLIA_ASSIGN_OR_RETURN(scope->names[parameter.name], evaluate(*parameter.fallback));
    }
  }
  const Swapped<int64_t> loops(loopDepth_, 0);
  return captured(definition.body);
}

}  // namespace spolia::engine::jinja
