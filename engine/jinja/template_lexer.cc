#include "engine/jinja/template_lexer.h"

#include <algorithm>
#include <array>
#include <optional>

namespace spolia::engine::jinja {

namespace {

bool isBlank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Line breaks as "\n", the last one dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      out += '\n';
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

void appendUtf8(std::string& out, uint32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

class Lexer {
 public:
  explicit Lexer(const std::string& source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      SPOLIA_RETURN_IF_ERROR(text());
      if (at_ == source_.size()) break;
      const char kind = source_[at_ + 1];
      SPOLIA_RETURN_IF_ERROR(kind == '#' ? comment() : tag(kind == '{'));
    }
    begin_ = at_;
    push(TokenKind::kEnd, {});
    return std::move(out_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool looksAt(std::string_view what) const { return rest().starts_with(what); }

  void push(TokenKind kind, std::string text) {
    for (; placed_ < begin_; ++placed_) {
      const bool broken = source_[placed_] == '\n';
      place_ = broken ? Place{place_.line + 1, 1} : Place{place_.line, place_.column + 1};
    }
    out_.push_back({kind, std::move(text), place_});
  }
  Status fail(const std::string& message) {
    push(TokenKind::kEnd, {});
    return syntaxError(out_.back().place, message);
  }

  size_t nextTag(size_t at) const;
  std::string textBefore(size_t begin, size_t end) const;
  Status text();
  Status comment();
  Status tag(bool output);
  Status raw(size_t end);
  std::optional<size_t> rawTagEnd(std::string_view name, char& control) const;
  // Behind a tag that ends at `end`, by its last sign: '-' takes all white space, '+' nothing, else
  // one line break of a block or comment.
  void skipBehind(char control, bool output);
  Status expressionToken();
  Status stringToken();
  void numberToken();
  Status escape(std::string& out);
  bool operatorToken();

  const std::string& source_;
  size_t at_ = 0;
  size_t begin_ = 0;  // of the token under way
  size_t placed_ = 0;
  Place place_;
  std::string open_;  // brackets that wait for their end
  std::vector<Token> out_;
};

// Where the next "{{", "{%" or "{#" begins; the end of the source where none does.
size_t Lexer::nextTag(size_t at) const {
  constexpr std::string_view kSecond = "{%#";
  for (at = source_.find('{', at); at != std::string::npos; at = source_.find('{', at + 1)) {
    if (at + 1 < source_.size() && kSecond.find(source_[at + 1]) != std::string_view::npos) {
      return at;
    }
  }
  return source_.size();
}

// The text [begin, end) less the white space that the tag behind it takes.
std::string Lexer::textBefore(size_t begin, size_t end) const {
  std::string_view found = std::string_view(source_).substr(begin, end - begin);
  if (end == source_.size()) return std::string(found);
  const char control = end + 2 < source_.size() ? source_[end + 2] : ' ';
  size_t kept = found.size();
  if (control == '-') {
    while (kept > 0 && isBlank(found[kept - 1])) --kept;
  } else if (control != '+' && source_[end + 1] != '{') {
    while (kept > 0 && found[kept - 1] != '\n' && isBlank(found[kept - 1])) --kept;
    const bool atLineStart =
        kept > 0 ? found[kept - 1] == '\n' : begin == 0 || source_[begin - 1] == '\n';
    if (!atLineStart) kept = found.size();
  }
  return std::string(found.substr(0, kept));
}

Status Lexer::text() {
  begin_ = at_;
  const size_t end = nextTag(at_);
  std::string found = textBefore(at_, end);
  if (!found.empty()) push(TokenKind::kText, std::move(found));
  at_ = end;
  return {};
}

void Lexer::skipBehind(char control, bool output) {
  if (control == '-') {
    while (at_ < source_.size() && isBlank(source_[at_])) ++at_;
  } else if (control != '+' && !output && looksAt("\n")) {
    ++at_;
  }
}

Status Lexer::comment() {
  begin_ = at_;
  at_ += 2;
  if (looksAt("-") || looksAt("+")) ++at_;
  const size_t end = source_.find("#}", at_);
  if (end == std::string::npos) return fail("the comment has no end, expected \"#}\"");
  const char control = end > at_ ? source_[end - 1] : ' ';
  at_ = end + 2;
  skipBehind(control, false);
  return {};
}

// The end of "{%- name -%}" at at_, and the last sign in it.
std::optional<size_t> Lexer::rawTagEnd(std::string_view name, char& control) const {
  size_t at = at_ + 2;
  const auto skipBlanks = [&] {
    while (at < source_.size() && isBlank(source_[at])) ++at;
  };
  if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
  skipBlanks();
  if (!std::string_view(source_).substr(at).starts_with(name)) return std::nullopt;
  at += name.size();
  skipBlanks();
  control = at < source_.size() ? source_[at] : ' ';
  if (control == '-' || control == '+') ++at;
  if (!std::string_view(source_).substr(at).starts_with("%}")) return std::nullopt;
  return at + 2;
}

Status Lexer::raw(size_t end) {
  const size_t begin = at_;
  char control = source_[end - 3];
  at_ = end;
  if (control == '-') skipBehind(control, false);
  const size_t first = at_;
  for (at_ = source_.find("{%", at_); at_ != std::string::npos; at_ = source_.find("{%", at_ + 2)) {
    const auto behind = rawTagEnd("endraw", control);
    if (!behind) continue;
    std::string found = textBefore(first, at_);
    begin_ = first;
    if (!found.empty()) push(TokenKind::kText, std::move(found));
    at_ = *behind;
    skipBehind(control, false);
    return {};
  }
  begin_ = begin;
  return fail("raw has no end, expected \"{% endraw %}\"");
}

Status Lexer::tag(bool output) {
  begin_ = at_;
  char control = ' ';
  if (const auto end = output ? std::nullopt : rawTagEnd("raw", control)) return raw(*end);
  push(output ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, {});
  const size_t opened = at_;
  at_ += 2;
  if (looksAt("-") || looksAt("+")) ++at_;
  const std::string_view close = output ? "}}" : "%}";
  open_.clear();
  while (true) {
    while (at_ < source_.size() && isBlank(source_[at_])) ++at_;
    begin_ = at_;
    if (at_ == source_.size()) {
      begin_ = std::max(opened, placed_);
      return fail("a tag has no end, expected " + quoted(close));
    }
    const bool marked = looksAt("-") || (looksAt("+") && !output);
    if (open_.empty() && rest().substr(marked ? 1 : 0).starts_with(close)) {
      push(output ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, {});
      control = marked ? source_[at_] : ' ';
      at_ += 2 + (marked ? 1 : 0);
      skipBehind(control, output);
      return {};
    }
    SPOLIA_RETURN_IF_ERROR(expressionToken());
  }
}

Status Lexer::expressionToken() {
  const char c = source_[at_];
  if (c == '"' || c == '\'') return stringToken();
  if (isDigit(c)) {
    numberToken();
    return {};
  }
  if (isNameStart(c)) {
    size_t end = at_;
    while (end < source_.size() && (isNameStart(source_[end]) || isDigit(source_[end]))) ++end;
    push(TokenKind::kName, source_.substr(at_, end - at_));
    at_ = end;
    return {};
  }
  if (!operatorToken()) return fail("unexpected " + std::string(1, c));
  const std::string& found = out_.back().text;
  constexpr std::string_view kOpen = "([{", kClose = ")]}";
  if (found.size() != 1) return {};
  if (kOpen.find(found[0]) != std::string_view::npos) {
    open_ += found[0];
  } else if (const size_t which = kClose.find(found[0]); which != std::string_view::npos) {
    if (open_.empty() || open_.back() != kOpen[which]) return fail("unexpected " + found);
    open_.pop_back();
  }
  return {};
}

bool Lexer::operatorToken() {
  constexpr std::array<std::string_view, 25> kOperators = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};
  for (const std::string_view spelling : kOperators) {
    if (!looksAt(spelling)) continue;
    push(TokenKind::kOperator, std::string(spelling));
    at_ += spelling.size();
    return true;
  }
  return false;
}

// Digits, "_" between them; a fraction and an exponent make it a float, but not behind a dot.
void Lexer::numberToken() {
  std::string digits;
  const auto take = [&] {
    while (at_ < source_.size() &&
           (isDigit(source_[at_]) ||
            (source_[at_] == '_' && at_ + 1 < source_.size() && isDigit(source_[at_ + 1])))) {
      if (source_[at_] != '_') digits += source_[at_];
      ++at_;
    }
  };
  const auto digitAt = [&](size_t at) { return at < source_.size() && isDigit(source_[at]); };
  const bool member = !out_.empty() && out_.back().is(TokenKind::kOperator, ".");
  bool whole = true;
  take();
  if (!member && looksAt(".") && digitAt(at_ + 1)) {
    whole = false;
    digits += source_[at_++];
    take();
  }
  const size_t sign = looksAt("e+") || looksAt("e-") || looksAt("E+") || looksAt("E-") ? 1 : 0;
  if (!member && (looksAt("e") || looksAt("E")) && digitAt(at_ + 1 + sign)) {
    whole = false;
    digits.append(source_, at_, 1 + sign);
    at_ += 1 + sign;
    take();
  }
  push(whole ? TokenKind::kInteger : TokenKind::kFloat, std::move(digits));
}

Status Lexer::stringToken() {
  const char quote = source_[at_++];
  std::string out;
  while (at_ < source_.size() && source_[at_] != quote) {
    if (source_[at_] != '\\') {
      out += source_[at_++];
    } else if (++at_ < source_.size()) {
      SPOLIA_RETURN_IF_ERROR(escape(out));
    }
  }
  if (at_ >= source_.size()) return fail("a string has no end, expected " + std::string(1, quote));
  ++at_;
  push(TokenKind::kString, std::move(out));
  return {};
}

// Behind the backslash. As in Python, one that means nothing stands for itself.
Status Lexer::escape(std::string& out) {
  const char c = source_[at_++];
  constexpr std::string_view kNames = "nrtbfva\\'\"", kMeant = "\n\r\t\b\f\v\a\\'\"";
  if (const size_t which = kNames.find(c); which != std::string_view::npos) {
    out += kMeant[which];
    return {};
  }
  if (c == '\n') return {};
  const bool octal = c >= '0' && c <= '7';
  const size_t digits = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) {
    out += {'\\', c};
    return {};
  }
  if (octal) --at_;
  uint32_t value = 0;
  size_t taken = 0;
  for (; taken < digits && at_ < source_.size(); ++taken, ++at_) {
    const char d = source_[at_];
    const char low = static_cast<char>(d | 0x20);
    const bool letter = !octal && low >= 'a' && low <= 'f';
    if (!letter && !(isDigit(d) && (!octal || d < '8'))) break;
    value = value * (octal ? 8 : 16) + static_cast<uint32_t>(letter ? low - 'a' + 10 : d - '0');
  }
  if (!octal && taken < digits) {
    std::string what(1, '\\');
    what.append(1, c).append(" in a string needs ").append(std::to_string(digits));
    return fail(what.append(" hexadecimal digits"));
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
    return fail("an escape in a string is no character");
  }
  appendUtf8(out, value);
  return {};
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out(1, '"');
  out.append(text).push_back('"');
  return out;
}

Status at(const Place& place, const Status& failure) {
  return failure.withContext("line " + std::to_string(place.line) + ", column " +
                             std::to_string(place.column));
}

Status syntaxError(const Place& place, const std::string& message) {
  return at(place, Status(ErrorCode::kInvalidArgument, message));
}

Result<std::vector<Token>> tokenize(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return Status(ErrorCode::kUnsupported, "a template of " + std::to_string(source.size()) +
                                               " bytes, expected at most " +
                                               std::to_string(kMaxTemplateBytes));
  }
  const std::string clean = normalized(source);
  return Lexer(clean).run();
}

}  // namespace spolia::engine::jinja
