// Expressions of a template, with the precedence Jinja2 gives its operators. Borrows the tokens.
// One thread.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/template_ast.h"
#include "engine/jinja/template_lexer.h"

namespace spolia::engine::jinja {

// The tokens from front to back. The last one, kEnd, stays.
class TokenReader {
 public:
  explicit TokenReader(const std::vector<Token>& tokens) : tokens_(tokens) {}

  const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& out = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return out;
  }
  bool sees(TokenKind kind, std::string_view spelling) const { return peek().is(kind, spelling); }
  bool seesOperator(std::string_view spelling) const {
    return sees(TokenKind::kOperator, spelling);
  }
  bool seesName(std::string_view spelling) const { return sees(TokenKind::kName, spelling); }
  // Takes it when it is there.
  bool takeOperator(std::string_view spelling);
  bool takeName(std::string_view spelling);
  // kInvalidArgument when something else is there.
  Status expectOperator(std::string_view spelling);
  Status expectName(std::string_view spelling);
  Result<std::string> expectAnyName();
  Status expect(TokenKind kind, std::string_view what);
  // "expected <what>, found <what is there>", with the place.
  Status unexpected(std::string_view what) const;

 private:
  const std::vector<Token>& tokens_;
  size_t at_ = 0;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenReader& in) : in_(in) {}

  // kInvalidArgument, or kResourceExhausted beyond kMaxExpressionDepth, with the place.
  Result<ExpressionPtr> parse() { return condition(); }
  // Or several with commas between them: a tuple.
  Result<ExpressionPtr> parseTuple();
  // One without "if" at its end, which belongs to the statement.
  Result<ExpressionPtr> parseIterable();
  // A chain of filters from its first name on; `operand` may be null.
  Result<ExpressionPtr> parseFilters(ExpressionPtr operand);
  Result<std::vector<Argument>> parseArguments();

 private:
  struct Level;
  using Made = Result<ExpressionPtr>;
  using Rule = Made (ExpressionParser::*)();

  Made tupleOf(Rule rule);
  Made condition();
  Made either();
  Made both();
  Made negation();
  Made comparison();
  Made sum();
  Made joined();
  Made product();
  Made power();
  Made sign();
  Made signOf(bool filters);
  Made primary();
  Made primaryName();
  Made number();
  Made bracketed();
  Made dict();
  Made postfix(ExpressionPtr operand);
  Made item(ExpressionPtr operand);
  Made sliceOf(ExpressionPtr operand, ExpressionPtr first, const Place& place);
  Made member(ExpressionPtr operand);
  Made filtered(ExpressionPtr operand);
  Made filter(ExpressionPtr operand);
  Made test(ExpressionPtr operand);
  Made binary(Rule operand, std::initializer_list<std::string_view> operators);
  Result<std::vector<ExpressionPtr>> list(std::string_view end);

  // Of all expressions: refuses what nests too deep.
  static Made finish(std::unique_ptr<Expression> made);

  TokenReader& in_;
  uint32_t depth_ = 0;
};

}  // namespace spolia::engine::jinja
