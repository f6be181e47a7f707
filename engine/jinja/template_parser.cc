#include "engine/jinja/template_parser.h"

#include <algorithm>
#include <initializer_list>

#include "engine/jinja/expression_parser.h"

namespace spolia::engine::jinja {

namespace {

using Ends = std::initializer_list<std::string_view>;

class TemplateParser {
 public:
  explicit TemplateParser(const std::vector<Token>& tokens) : in_(tokens), expressions_(in_) {}

  Result<Block> run() {
    SPOLIA_ASSIGN_OR_RETURN(Block out, block({}));
    if (in_.peek().kind != TokenKind::kEnd) return in_.unexpected("the end of the template");
    return out;
  }

 private:
  using Made = Result<StatementPtr>;
  using New = std::unique_ptr<Statement>;

  // Statements up to "{% <one of ends>", which is left at its name; all of them without ends.
  Result<Block> block(Ends ends);
  Made statement();
  Made tag(New out);
  Made ifTag(New out);
  Made forTag(New out);
  Made setTag(New out);
  Made macroTag(New out);
  Made callTag(New out);
  Made filterTag(New out);
  Made withTag(New out);
  Status parameters(std::vector<Parameter>& out);
  Result<Target> target();
  Result<Target> oneTarget();
  Status endTag() { return in_.expect(TokenKind::kBlockEnd, "\"%}\""); }
  // A body and its end tag, of which "{%" is taken.
  Status body(Block& out, std::string_view end);

  TokenReader in_;
  ExpressionParser expressions_;
  uint32_t depth_ = 0;
};

Result<Block> TemplateParser::block(Ends ends) {
  if (depth_ >= kMaxBlockDepth) {
    return at(in_.peek().place,
              Status(ErrorCode::kResourceExhausted,
                     "blocks nest deeper than " + std::to_string(kMaxBlockDepth)));
  }
  ++depth_;
  Block out;
  while (in_.peek().kind != TokenKind::kEnd) {
    const Token& name = in_.peek(1);
    if (in_.peek().kind == TokenKind::kBlockBegin && name.kind == TokenKind::kName &&
        std::ranges::find(ends, name.text) != ends.end()) {
      in_.take();
      --depth_;
      return out;
    }
    SPOLIA_ASSIGN_OR_RETURN(StatementPtr made, statement());
    out.push_back(std::move(made));
  }
  --depth_;
  if (ends.size() == 0) return out;
  return in_.unexpected("\"{% " + std::string(*(ends.end() - 1)) + " %}\"");
}

Status TemplateParser::body(Block& out, std::string_view end) {
  SPOLIA_RETURN_IF_ERROR(endTag());
  SPOLIA_ASSIGN_OR_RETURN(out, block({end}));
  in_.take();
  return endTag();
}

TemplateParser::Made TemplateParser::statement() {
  const Token& token = in_.peek();
  auto out = std::make_unique<Statement>();
  out->place = token.place;
  switch (token.kind) {
    case TokenKind::kText:
      out->text = MarkedText(std::string_view(in_.take().text));
      return StatementPtr(std::move(out));
    case TokenKind::kOutputBegin: {
      in_.take();
      out->kind = StatementKind::kOutput;
      SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parseTuple());
      SPOLIA_RETURN_IF_ERROR(in_.expect(TokenKind::kOutputEnd, "\"}}\""));
      return StatementPtr(std::move(out));
    }
    case TokenKind::kBlockBegin:
      in_.take();
      return tag(std::move(out));
    default:
      return in_.unexpected("a statement");
  }
}

TemplateParser::Made TemplateParser::tag(New out) {
  const Token token = in_.peek();
  SPOLIA_ASSIGN_OR_RETURN(const std::string name, in_.expectAnyName());
  if (name == "if") return ifTag(std::move(out));
  if (name == "for") return forTag(std::move(out));
  if (name == "set") return setTag(std::move(out));
  if (name == "macro") return macroTag(std::move(out));
  if (name == "call") return callTag(std::move(out));
  if (name == "filter") return filterTag(std::move(out));
  if (name == "with") return withTag(std::move(out));
  if (name == "generation") {
    out->kind = StatementKind::kScope;
    SPOLIA_RETURN_IF_ERROR(body(out->body, "endgeneration"));
    return StatementPtr(std::move(out));
  }
  if (name == "break" || name == "continue") {
    out->kind = name == "break" ? StatementKind::kBreak : StatementKind::kContinue;
    SPOLIA_RETURN_IF_ERROR(endTag());
    return StatementPtr(std::move(out));
  }
  const bool end = name.starts_with("end") || name == "else" || name == "elif";
  if (end) return syntaxError(token.place, "unexpected \"{% " + name + " %}\"");
  return at(token.place, Status(ErrorCode::kUnsupported, "there is no statement \"" + name + "\""));
}

TemplateParser::Made TemplateParser::ifTag(New out) {
  out->kind = StatementKind::kIf;
  while (true) {
    Branch branch;
    SPOLIA_ASSIGN_OR_RETURN(branch.condition, expressions_.parse());
    SPOLIA_RETURN_IF_ERROR(endTag());
    SPOLIA_ASSIGN_OR_RETURN(branch.body, block({"elif", "else", "endif"}));
    out->branches.push_back(std::move(branch));
    if (!in_.takeName("elif")) break;
  }
  if (in_.takeName("else")) {
    Branch branch;
    SPOLIA_RETURN_IF_ERROR(endTag());
    SPOLIA_ASSIGN_OR_RETURN(branch.body, block({"endif"}));
    out->branches.push_back(std::move(branch));
  }
  SPOLIA_RETURN_IF_ERROR(in_.expectName("endif"));
  SPOLIA_RETURN_IF_ERROR(endTag());
  return StatementPtr(std::move(out));
}

Result<Target> TemplateParser::oneTarget() {
  Target out;
  SPOLIA_ASSIGN_OR_RETURN(out.name, in_.expectAnyName());
  if (in_.takeOperator(".")) {
    SPOLIA_ASSIGN_OR_RETURN(out.field, in_.expectAnyName());
  }
  return out;
}

// a; ns.a; a, b; (a, b).
Result<Target> TemplateParser::target() {
  const bool bracket = in_.takeOperator("(");
  Target several;
  bool many = false;
  do {
    if (many && in_.peek().kind != TokenKind::kName) break;
    SPOLIA_ASSIGN_OR_RETURN(Target one, oneTarget());
    several.several.push_back(std::move(one));
    many |= in_.seesOperator(",");
  } while (in_.takeOperator(","));
  if (bracket) SPOLIA_RETURN_IF_ERROR(in_.expectOperator(")"));
  return many ? std::move(several) : std::move(several.several[0]);
}

TemplateParser::Made TemplateParser::forTag(New out) {
  out->kind = StatementKind::kFor;
  SPOLIA_ASSIGN_OR_RETURN(out->target, target());
  SPOLIA_RETURN_IF_ERROR(in_.expectName("in"));
  SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parseIterable());
  if (in_.takeName("if")) {
    SPOLIA_ASSIGN_OR_RETURN(out->condition, expressions_.parse());
  }
  if (in_.seesName("recursive")) {
    return at(in_.peek().place,
              Status(ErrorCode::kUnsupported, "recursive loops are not supported"));
  }
  SPOLIA_RETURN_IF_ERROR(endTag());
  SPOLIA_ASSIGN_OR_RETURN(out->body, block({"else", "endfor"}));
  if (in_.takeName("else")) {
    SPOLIA_RETURN_IF_ERROR(endTag());
    SPOLIA_ASSIGN_OR_RETURN(out->otherwise, block({"endfor"}));
  }
  SPOLIA_RETURN_IF_ERROR(in_.expectName("endfor"));
  SPOLIA_RETURN_IF_ERROR(endTag());
  return StatementPtr(std::move(out));
}

TemplateParser::Made TemplateParser::setTag(New out) {
  SPOLIA_ASSIGN_OR_RETURN(out->target, target());
  if (in_.takeOperator("=")) {
    out->kind = StatementKind::kSet;
    SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parseTuple());
    SPOLIA_RETURN_IF_ERROR(endTag());
    return StatementPtr(std::move(out));
  }
  out->kind = StatementKind::kSetBlock;
  if (in_.takeOperator("|")) {
    SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parseFilters(nullptr));
  } else if (in_.peek().kind != TokenKind::kBlockEnd) {
    return in_.unexpected("\"=\" or \"%}\"");
  }
  SPOLIA_RETURN_IF_ERROR(body(out->body, "endset"));
  return StatementPtr(std::move(out));
}

Status TemplateParser::parameters(std::vector<Parameter>& out) {
  SPOLIA_RETURN_IF_ERROR(in_.expectOperator("("));
  while (!in_.takeOperator(")")) {
    if (!out.empty()) SPOLIA_RETURN_IF_ERROR(in_.expectOperator(","));
    Parameter parameter;
    const Place place = in_.peek().place;
    SPOLIA_ASSIGN_OR_RETURN(parameter.name, in_.expectAnyName());
    if (in_.takeOperator("=")) {
      SPOLIA_ASSIGN_OR_RETURN(parameter.fallback, expressions_.parse());
    } else if (!out.empty() && out.back().fallback) {
      return syntaxError(place, "expected a default, as the parameter before has one");
    }
    out.push_back(std::move(parameter));
  }
  return {};
}

TemplateParser::Made TemplateParser::macroTag(New out) {
  out->kind = StatementKind::kMacro;
  SPOLIA_ASSIGN_OR_RETURN(out->name, in_.expectAnyName());
  SPOLIA_RETURN_IF_ERROR(parameters(out->parameters));
  SPOLIA_RETURN_IF_ERROR(body(out->body, "endmacro"));
  return StatementPtr(std::move(out));
}

TemplateParser::Made TemplateParser::callTag(New out) {
  out->kind = StatementKind::kCall;
  out->name = "caller";
  if (in_.seesOperator("(")) SPOLIA_RETURN_IF_ERROR(parameters(out->parameters));
  SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parse());
  if (out->value->kind != ExpressionKind::kCall) {
    return syntaxError(out->value->place, "expected the call of a macro");
  }
  SPOLIA_RETURN_IF_ERROR(body(out->body, "endcall"));
  return StatementPtr(std::move(out));
}

TemplateParser::Made TemplateParser::filterTag(New out) {
  out->kind = StatementKind::kFilter;
  SPOLIA_ASSIGN_OR_RETURN(out->value, expressions_.parseFilters(nullptr));
  SPOLIA_RETURN_IF_ERROR(body(out->body, "endfilter"));
  return StatementPtr(std::move(out));
}

TemplateParser::Made TemplateParser::withTag(New out) {
  out->kind = StatementKind::kWith;
  while (in_.peek().kind != TokenKind::kBlockEnd) {
    if (!out->assignments.empty()) SPOLIA_RETURN_IF_ERROR(in_.expectOperator(","));
    SPOLIA_ASSIGN_OR_RETURN(Target name, oneTarget());
    SPOLIA_RETURN_IF_ERROR(in_.expectOperator("="));
    SPOLIA_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.parse());
    out->assignments.emplace_back(std::move(name), std::move(value));
  }
  SPOLIA_RETURN_IF_ERROR(body(out->body, "endwith"));
  return StatementPtr(std::move(out));
}

}  // namespace

Result<Block> parseTemplate(std::string_view source) {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<Token> tokens, tokenize(source));
  return TemplateParser(tokens).run();
}

}  // namespace spolia::engine::jinja
