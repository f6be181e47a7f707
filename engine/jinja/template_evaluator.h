// Renders the statements of a template. One for each rendering; one thread. Borrows statements and
// budget.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/jinja/budget.h"
#include "engine/jinja/template_ast.h"
#include "engine/jinja/value.h"

namespace spolia::engine::jinja {

// Names and what they stand for.
struct Scope {
  std::unordered_map<std::string, Value> names;
  std::shared_ptr<Scope> parent;
};
using ScopePtr = std::shared_ptr<Scope>;

// What may hold itself, by way of what it holds; emptied at the end, so that nothing is left over.
class Circles {
 public:
  Circles() = default;
  ~Circles();
  Circles(const Circles&) = delete;
  Circles& operator=(const Circles&) = delete;

  void keep(ScopePtr scope) { scopes_.push_back(std::move(scope)); }
  void keep(std::shared_ptr<Namespace> space) { spaces_.push_back(std::move(space)); }

 private:
  std::vector<ScopePtr> scopes_;
  std::vector<std::shared_ptr<Namespace>> spaces_;
};

class Evaluator {
 public:
  // `variables` are the template's outermost names.
  Evaluator(Budget& budget, const std::vector<std::pair<std::string, Value>>& variables,
            const std::tm& now);

  // Errors have line and column in front: kInvalidArgument for what the template cannot do with its
  // variables, or raises itself; kUnsupported for what this Jinja lacks; kResourceExhausted.
  Result<MarkedText> run(const Block& block);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  Result<Flow> execute(const Block& block);
  Result<Flow> execute(const Statement& statement);
  Result<Flow> executeIf(const Statement& statement);
  Result<Flow> executeFor(const Statement& statement);
  Result<std::vector<Value>> chosenItems(const Statement& statement);
  Status executeCall(const Statement& statement);
  Result<Flow> executeWith(const Statement& statement);
  Status assign(const Target& target, const Value& value);
  Status write(const MarkedText& text);
  // What the block writes.
  Result<Value> captured(const Block& block);
  Result<Flow> executeIn(ScopePtr scope, const Block& block);
  Value macroOf(const Statement& statement);

  Result<Value> evaluate(const Expression& expression);
  Result<Value> evaluateKind(const Expression& expression);
  Result<Value> evaluateList(const Expression& expression);
  Result<Value> evaluateDict(const Expression& expression);
  Result<Value> evaluateMember(const Expression& expression);
  Result<Value> evaluateItem(const Expression& expression);
  Result<Value> evaluateSlice(const Expression& expression);
  Result<Value> evaluateUnary(const Expression& expression);
  Result<Value> evaluateBinary(const Expression& expression);
  Result<Value> evaluateJoin(const Expression& expression);
  Result<Value> evaluateCompare(const Expression& expression);
  Result<Value> evaluateCondition(const Expression& expression);
  Result<Value> evaluateCall(const Expression& expression, const Value& caller);
  Result<Value> filtered(const Expression& chain, const Value& innermost);
  Result<Arguments> argumentsOf(const Expression& expression);
  Result<Value> memberOf(const Value& object, const std::string& name);
  Result<Value> call(const Value& callee, const Arguments& arguments, const Value& caller);
  Result<Value> callMacro(const Macro& macro, const Arguments& arguments, const Value& caller);

  // Failures get the place where they came up first.
  Status located(const Place& place, const Status& failure);

  Budget& budget_;
  const std::tm now_;
  Circles circles_;
  ScopePtr scope_;
  MarkedText* out_ = nullptr;
  Value filterInput_;
  int64_t loopDepth_ = 0;
  bool located_ = false;
};

}  // namespace spolia::engine::jinja
