#include "engine/jinja/expression_parser.h"

#include <algorithm>
#include <charconv>

namespace spolia::engine::jinja {

namespace {

std::unique_ptr<Expression> make(ExpressionKind kind, const Place& place, std::string name = {}) {
  auto out = std::make_unique<Expression>();
  out->kind = kind;
  out->place = place;
  out->name = std::move(name);
  return out;
}

std::string described(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kBlockBegin:
      return "\"{%\"";
    case TokenKind::kBlockEnd:
      return "\"%}\"";
    case TokenKind::kOutputBegin:
      return "\"{{\"";
    case TokenKind::kOutputEnd:
      return "\"}}\"";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return quoted(token.text.substr(0, 40));
  }
}

Status tooDeep(const Place& place) {
  return at(place, Status(ErrorCode::kResourceExhausted, "the expression nests deeper than " +
                                                             std::to_string(kMaxExpressionDepth)));
}

}  // namespace

bool TokenReader::takeOperator(std::string_view spelling) {
  const bool found = seesOperator(spelling);
  if (found) take();
  return found;
}

bool TokenReader::takeName(std::string_view spelling) {
  const bool found = seesName(spelling);
  if (found) take();
  return found;
}

Status TokenReader::unexpected(std::string_view what) const {
  return syntaxError(peek().place,
                     "expected " + std::string(what) + ", found " + described(peek()));
}

Status TokenReader::expectOperator(std::string_view spelling) {
  return takeOperator(spelling) ? Status() : unexpected(quoted(spelling));
}

Status TokenReader::expectName(std::string_view spelling) {
  return takeName(spelling) ? Status() : unexpected(quoted(spelling));
}

Result<std::string> TokenReader::expectAnyName() {
  if (peek().kind != TokenKind::kName) return unexpected("a name");
  return take().text;
}

Status TokenReader::expect(TokenKind kind, std::string_view what) {
  if (peek().kind != kind) return unexpected(what);
  take();
  return {};
}

// Counts how deep the parser has called itself.
struct ExpressionParser::Level {
  explicit Level(uint32_t& depth) : depth_(++depth) {}
  ~Level() { --depth_; }
  Level(const Level&) = delete;
  bool tooDeep() const { return depth_ > kMaxExpressionDepth; }

 private:
  uint32_t& depth_;
};

ExpressionParser::Made ExpressionParser::finish(std::unique_ptr<Expression> made) {
  for (const ExpressionPtr& part : made->parts) {
    if (part) made->depth = std::max(made->depth, part->depth + 1);
  }
  for (const Argument& argument : made->arguments) {
    made->depth = std::max(made->depth, argument.value->depth + 1);
  }
  if (made->depth > kMaxExpressionDepth) return tooDeep(made->place);
  return ExpressionPtr(std::move(made));
}

ExpressionParser::Made ExpressionParser::tupleOf(Rule rule) {
  const Place place = in_.peek().place;
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr first, (this->*rule)());
  if (!in_.seesOperator(",")) return first;
  auto out = make(ExpressionKind::kTuple, place);
  out->parts.push_back(std::move(first));
  while (in_.takeOperator(",")) {
    const TokenKind next = in_.peek().kind;
    if (next == TokenKind::kBlockEnd || next == TokenKind::kOutputEnd || in_.seesOperator(")")) {
      break;
    }
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr part, (this->*rule)());
    out->parts.push_back(std::move(part));
  }
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::parseTuple() {
  return tupleOf(&ExpressionParser::condition);
}

ExpressionParser::Made ExpressionParser::parseIterable() {
  return tupleOf(&ExpressionParser::either);
}

ExpressionParser::Made ExpressionParser::condition() {
  const Level level(depth_);
  if (level.tooDeep()) return tooDeep(in_.peek().place);
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr out, either());
  while (in_.seesName("if")) {
    auto made = make(ExpressionKind::kCondition, in_.take().place);
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr question, either());
    ExpressionPtr otherwise;
    if (in_.takeName("else")) {
      SPOLIA_ASSIGN_OR_RETURN(otherwise, condition());
    }
    made->parts.push_back(std::move(out));
    made->parts.push_back(std::move(question));
    made->parts.push_back(std::move(otherwise));
    SPOLIA_ASSIGN_OR_RETURN(out, finish(std::move(made)));
  }
  return out;
}

ExpressionParser::Made ExpressionParser::binary(Rule operand,
                                                std::initializer_list<std::string_view> operators) {
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr out, (this->*operand)());
  while (true) {
    const Token& token = in_.peek();
    const bool word = token.kind == TokenKind::kName || token.kind == TokenKind::kOperator;
    if (!word || std::ranges::find(operators, token.text) == operators.end()) return out;
    auto made = make(ExpressionKind::kBinary, token.place, token.text);
    in_.take();
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr right, (this->*operand)());
    made->parts.push_back(std::move(out));
    made->parts.push_back(std::move(right));
    SPOLIA_ASSIGN_OR_RETURN(out, finish(std::move(made)));
  }
}

ExpressionParser::Made ExpressionParser::either() {
  return binary(&ExpressionParser::both, {"or"});
}

ExpressionParser::Made ExpressionParser::both() {
  return binary(&ExpressionParser::negation, {"and"});
}

ExpressionParser::Made ExpressionParser::negation() {
  if (!in_.seesName("not")) return comparison();
  const Level level(depth_);
  if (level.tooDeep()) return tooDeep(in_.peek().place);
  auto out = make(ExpressionKind::kUnary, in_.take().place, "not");
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr operand, negation());
  out->parts.push_back(std::move(operand));
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::comparison() {
  constexpr std::string_view kOrders[] = {"==", "!=", "<", "<=", ">", ">="};
  auto out = make(ExpressionKind::kCompare, in_.peek().place);
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr first, sum());
  out->parts.push_back(std::move(first));
  while (true) {
    const Token& token = in_.peek();
    const bool order =
        token.kind == TokenKind::kOperator && std::ranges::count(kOrders, token.text) > 0;
    const bool notIn = in_.seesName("not") && in_.peek(1).is(TokenKind::kName, "in");
    if (!order && !notIn && !in_.seesName("in")) break;
    if (out->names.empty()) out->place = token.place;
    out->names.push_back(notIn ? "not in" : token.text);
    if (notIn) in_.take();
    in_.take();
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr next, sum());
    out->parts.push_back(std::move(next));
  }
  if (out->names.empty()) return std::move(out->parts[0]);
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::sum() {
  return binary(&ExpressionParser::joined, {"+", "-"});
}

ExpressionParser::Made ExpressionParser::joined() {
  auto out = make(ExpressionKind::kJoin, in_.peek().place);
  do {
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr part, product());
    out->parts.push_back(std::move(part));
  } while (in_.takeOperator("~"));
  if (out->parts.size() == 1) return std::move(out->parts[0]);
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::product() {
  return binary(&ExpressionParser::power, {"*", "/", "//", "%"});
}

ExpressionParser::Made ExpressionParser::power() {
  return binary(&ExpressionParser::sign, {"**"});
}

ExpressionParser::Made ExpressionParser::sign() {
  return signOf(true);
}

// A sign binds closer than a filter: -1 | abs is (-1) | abs.
ExpressionParser::Made ExpressionParser::signOf(bool filters) {
  ExpressionPtr out;
  if (in_.seesOperator("-") || in_.seesOperator("+")) {
    const Level level(depth_);
    if (level.tooDeep()) return tooDeep(in_.peek().place);
    const Token& token = in_.take();
    auto made = make(ExpressionKind::kUnary, token.place, token.text);
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr operand, signOf(false));
    made->parts.push_back(std::move(operand));
    SPOLIA_ASSIGN_OR_RETURN(out, finish(std::move(made)));
  } else {
    SPOLIA_ASSIGN_OR_RETURN(out, primary());
  }
  SPOLIA_ASSIGN_OR_RETURN(out, postfix(std::move(out)));
  return filters ? filtered(std::move(out)) : Made(std::move(out));
}

ExpressionParser::Made ExpressionParser::primaryName() {
  const Token& token = in_.take();
  auto out = make(ExpressionKind::kConstant, token.place);
  const std::string& name = token.text;
  if (name == "true" || name == "True") {
    out->value = Value(true);
  } else if (name == "false" || name == "False") {
    out->value = Value(false);
  } else if (name == "none" || name == "None") {
    out->value = Value(None{});
  } else {
    out->kind = ExpressionKind::kName;
    out->name = name;
  }
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::number() {
  const Token& token = in_.take();
  auto out = make(ExpressionKind::kConstant, token.place);
  const char* end = token.text.data() + token.text.size();
  std::errc error{};
  if (token.kind == TokenKind::kInteger) {
    int64_t value = 0;
    error = std::from_chars(token.text.data(), end, value).ec;
    out->value = Value(value);
  } else {
    double value = 0;
    error = std::from_chars(token.text.data(), end, value).ec;
    out->value = Value(value);
  }
  if (error != std::errc()) return syntaxError(token.place, "the number is too large");
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::primary() {
  const Token& token = in_.peek();
  switch (token.kind) {
    case TokenKind::kName:
      return primaryName();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return number();
    case TokenKind::kString: {
      auto out = make(ExpressionKind::kConstant, token.place);
      std::string text;
      while (in_.peek().kind == TokenKind::kString) text += in_.take().text;
      out->value = Value(std::string_view(text));
      return finish(std::move(out));
    }
    default:
      return bracketed();
  }
}

ExpressionParser::Made ExpressionParser::bracketed() {
  const Place place = in_.peek().place;
  const Level level(depth_);
  if (level.tooDeep()) return tooDeep(place);
  if (in_.takeOperator("(")) {
    if (in_.takeOperator(")")) return finish(make(ExpressionKind::kTuple, place));
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr out, parseTuple());
    SPOLIA_RETURN_IF_ERROR(in_.expectOperator(")"));
    return out;
  }
  if (in_.takeOperator("[")) {
    auto out = make(ExpressionKind::kList, place);
    SPOLIA_ASSIGN_OR_RETURN(out->parts, list("]"));
    return finish(std::move(out));
  }
  if (in_.seesOperator("{")) return dict();
  return in_.unexpected("an expression");
}

Result<std::vector<ExpressionPtr>> ExpressionParser::list(std::string_view end) {
  std::vector<ExpressionPtr> out;
  while (!in_.takeOperator(end)) {
    if (!out.empty()) {
      SPOLIA_RETURN_IF_ERROR(in_.expectOperator(","));
      if (in_.takeOperator(end)) break;
    }
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr part, condition());
    out.push_back(std::move(part));
  }
  return out;
}

ExpressionParser::Made ExpressionParser::dict() {
  auto out = make(ExpressionKind::kDict, in_.take().place);
  while (!in_.takeOperator("}")) {
    if (!out->parts.empty()) {
      SPOLIA_RETURN_IF_ERROR(in_.expectOperator(","));
      if (in_.takeOperator("}")) break;
    }
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr key, condition());
    SPOLIA_RETURN_IF_ERROR(in_.expectOperator(":"));
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr value, condition());
    out->parts.push_back(std::move(key));
    out->parts.push_back(std::move(value));
  }
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::postfix(ExpressionPtr operand) {
  while (true) {
    const Place place = in_.peek().place;
    if (in_.takeOperator(".")) {
      SPOLIA_ASSIGN_OR_RETURN(operand, member(std::move(operand)));
    } else if (in_.takeOperator("[")) {
      SPOLIA_ASSIGN_OR_RETURN(operand, item(std::move(operand)));
    } else if (in_.seesOperator("(")) {
      auto out = make(ExpressionKind::kCall, place);
      out->parts.push_back(std::move(operand));
      SPOLIA_ASSIGN_OR_RETURN(out->arguments, parseArguments());
      SPOLIA_ASSIGN_OR_RETURN(operand, finish(std::move(out)));
    } else {
      return operand;
    }
  }
}

ExpressionParser::Made ExpressionParser::member(ExpressionPtr operand) {
  const Token& token = in_.peek();
  if (token.kind == TokenKind::kInteger) {  // list.0
    auto out = make(ExpressionKind::kItem, token.place);
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr index, number());
    out->parts.push_back(std::move(operand));
    out->parts.push_back(std::move(index));
    return finish(std::move(out));
  }
  auto out = make(ExpressionKind::kMember, token.place);
  SPOLIA_ASSIGN_OR_RETURN(out->name, in_.expectAnyName());
  out->parts.push_back(std::move(operand));
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::item(ExpressionPtr operand) {
  const Place place = in_.peek().place;
  ExpressionPtr first;
  if (!in_.seesOperator(":")) {
    SPOLIA_ASSIGN_OR_RETURN(first, condition());
  }
  if (in_.seesOperator(":")) return sliceOf(std::move(operand), std::move(first), place);
  SPOLIA_RETURN_IF_ERROR(in_.expectOperator("]"));
  auto out = make(ExpressionKind::kItem, place);
  out->parts.push_back(std::move(operand));
  out->parts.push_back(std::move(first));
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::sliceOf(ExpressionPtr operand, ExpressionPtr first,
                                                 const Place& place) {
  auto out = make(ExpressionKind::kSlice, place);
  out->parts.push_back(std::move(operand));
  out->parts.push_back(std::move(first));
  while (in_.takeOperator(":") && out->parts.size() < 4) {
    ExpressionPtr part;
    if (!in_.seesOperator(":") && !in_.seesOperator("]")) {
      SPOLIA_ASSIGN_OR_RETURN(part, condition());
    }
    out->parts.push_back(std::move(part));
  }
  out->parts.resize(4);
  SPOLIA_RETURN_IF_ERROR(in_.expectOperator("]"));
  return finish(std::move(out));
}

Result<std::vector<Argument>> ExpressionParser::parseArguments() {
  std::vector<Argument> out;
  SPOLIA_RETURN_IF_ERROR(in_.expectOperator("("));
  while (!in_.takeOperator(")")) {
    if (!out.empty()) {
      SPOLIA_RETURN_IF_ERROR(in_.expectOperator(","));
      if (in_.takeOperator(")")) break;
    }
    Argument argument;
    if (in_.takeOperator("*")) {
      argument.kind = ArgumentKind::kList;
    } else if (in_.takeOperator("**")) {
      argument.kind = ArgumentKind::kDict;
    } else if (in_.peek().kind == TokenKind::kName && in_.peek(1).is(TokenKind::kOperator, "=")) {
      argument.name = in_.take().text;
      in_.take();
    } else if (!out.empty() && !out.back().name.empty()) {
      return in_.unexpected("an argument with a name, behind others that have one");
    }
    SPOLIA_ASSIGN_OR_RETURN(argument.value, condition());
    out.push_back(std::move(argument));
  }
  return out;
}

ExpressionParser::Made ExpressionParser::filtered(ExpressionPtr operand) {
  while (true) {
    if (in_.takeOperator("|")) {
      SPOLIA_ASSIGN_OR_RETURN(operand, filter(std::move(operand)));
    } else if (in_.seesName("is")) {
      SPOLIA_ASSIGN_OR_RETURN(operand, test(std::move(operand)));
    } else if (in_.seesOperator("(")) {  // of what a filter gives
      SPOLIA_ASSIGN_OR_RETURN(operand, postfix(std::move(operand)));
    } else {
      return operand;
    }
  }
}

ExpressionParser::Made ExpressionParser::filter(ExpressionPtr operand) {
  auto out = make(ExpressionKind::kFilter, in_.peek().place);
  SPOLIA_ASSIGN_OR_RETURN(out->name, in_.expectAnyName());
  out->parts.push_back(std::move(operand));
  if (in_.seesOperator("(")) {
    SPOLIA_ASSIGN_OR_RETURN(out->arguments, parseArguments());
  }
  return finish(std::move(out));
}

ExpressionParser::Made ExpressionParser::parseFilters(ExpressionPtr operand) {
  do {
    SPOLIA_ASSIGN_OR_RETURN(operand, filter(std::move(operand)));
  } while (in_.takeOperator("|"));
  return operand;
}

// x is y, x is not y, x is y(z), x is y z.
ExpressionParser::Made ExpressionParser::test(ExpressionPtr operand) {
  const Place place = in_.take().place;
  const bool negated = in_.takeName("not");
  auto out = make(ExpressionKind::kTest, in_.peek().place);
  if (in_.seesName("in")) {
    out->name = in_.take().text;
  } else {
    SPOLIA_ASSIGN_OR_RETURN(out->name, in_.expectAnyName());
  }
  out->parts.push_back(std::move(operand));
  const Token& next = in_.peek();
  constexpr std::string_view kNot[] = {"else", "or", "and", "is", "if", "not", "in"};
  const bool word = next.kind == TokenKind::kName && std::ranges::count(kNot, next.text) == 0;
  const bool literal = next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                       next.kind == TokenKind::kFloat || in_.seesOperator("[") ||
                       in_.seesOperator("{");
  if (in_.seesOperator("(")) {
    SPOLIA_ASSIGN_OR_RETURN(out->arguments, parseArguments());
  } else if (word || literal) {
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr argument, primary());
    SPOLIA_ASSIGN_OR_RETURN(argument, postfix(std::move(argument)));
    out->arguments.push_back({{}, std::move(argument), ArgumentKind::kPlain});
  }
  SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr made, finish(std::move(out)));
  if (!negated) return made;
  auto inverse = make(ExpressionKind::kUnary, place, "not");
  inverse->parts.push_back(std::move(made));
  return finish(std::move(inverse));
}

}  // namespace spolia::engine::jinja
