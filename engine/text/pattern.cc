#include "engine/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

namespace spolia::engine {

namespace {

constexpr size_t kMaxPatternBytes = 1 << 16;
constexpr std::string_view kWordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

// Walks an Oniguruma pattern (Ruby syntax, its default) once and writes PCRE2's.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : rest_(pattern) {}

  Result<std::string> run() {
    while (!rest_.empty()) {
      SPOLIA_RETURN_IF_ERROR(rest_[0] == '\\' ? escape() : plain());
    }
    return std::move(out_);
  }

 private:
  Status unsupported(std::string_view what) const {
    return Status(ErrorCode::kUnsupported,
                  std::string(what) + " in a pattern is not supported, expected it without");
  }

  void copy(size_t count) {
    count = std::min(count, rest_.size());
    out_.append(rest_.substr(0, count));
    rest_.remove_prefix(count);
  }

  Status plain() {
    if (inClass_) return plainInClass();
    if (rest_.starts_with("(?")) {
      const auto end = rest_.find_first_not_of("imsx-", 2);
      // In Oniguruma (?m) lets the dot match newlines; PCRE2 means something else by it.
      if (rest_.substr(0, end).find('m', 2) != std::string_view::npos) return unsupported("(?m)");
      copy(2);
      return Status();
    }
    if (rest_[0] == '[') {
      inClass_ = true;
      copy(rest_.starts_with("[^") ? 2 : 1);
      if (rest_.starts_with(']')) copy(1);  // a literal, there
      return Status();
    }
    copy(1);
    return Status();
  }

  Status plainInClass() {
    if (rest_.starts_with("[:")) {
      const size_t end = rest_.find(":]");
      copy(end == std::string_view::npos ? rest_.size() : end + 2);
      return Status();
    }
    if (rest_[0] == '[') return unsupported("a class within a class");
    if (rest_.starts_with("&&")) return unsupported("an intersection of classes");
    if (rest_[0] == ']') inClass_ = false;
    copy(1);
    return Status();
  }

  void put(std::string_view translated) {
    out_ += translated;
    rest_.remove_prefix(2);
  }

  // A set of characters: as it is within a class, in brackets outside.
  void putSet(std::string_view set) {
    std::string text(set);
    if (!inClass_) text.insert(0, 1, '[').append(1, ']');
    put(text);
  }

  Status escape() {
    const char kind = rest_.size() > 1 ? rest_[1] : '\0';
    switch (kind) {
      case 's':  // PCRE2 counts U+180E among the blanks, Oniguruma does not
        put(R"(\p{White_Space})");
        break;
      case 'S':
        put(R"(\P{White_Space})");
        break;
      case 'd':
        put(R"(\p{Nd})");
        break;
      case 'D':
        put(R"(\P{Nd})");
        break;
      case 'w':
        putSet(kWordClass);
        break;
      case 'W':
        if (inClass_) return unsupported("\\W within a class");
        put("[^" + std::string(kWordClass) + "]");
        break;
      case 'h':  // a hexadecimal digit, there
        putSet("0-9a-fA-F");
        break;
      case 'H':
        if (inClass_) return unsupported("\\H within a class");
        put("[^0-9a-fA-F]");
        break;
      case 'v':  // one character, there
        put(R"(\x0b)");
        break;
      case 'u':
        if (rest_.size() < 6) return unsupported("\\u without four digits");
        out_ += "\\x{" + std::string(rest_.substr(2, 4)) + "}";
        rest_.remove_prefix(6);
        break;
      default:
        copy(2);
    }
    return Status();
  }

  std::string_view rest_;
  std::string out_;
  bool inClass_ = false;
};

std::string messageOf(int error) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(error, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  std::string literal;  // instead of code

  ~Code() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }

  int match(std::string_view text, size_t start, pcre2_match_data* data) const {
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found = pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK, data, context);
    // The compiled form has a small fixed stack; the interpreter takes its own from the heap.
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          data, context);
    }
    return found;
  }

  std::vector<Match> findLiteral(std::string_view text) const {
    std::vector<Match> out;
    for (size_t at = 0; (at = text.find(literal, at)) != text.npos; at += literal.size()) {
      out.push_back({at, at + literal.size()});
    }
    return out;
  }
};

Result<std::string> translatePattern(std::string_view onigurumaPattern) {
  return Translator(onigurumaPattern).run();
}

Pattern::Pattern(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view onigurumaPattern) {
  if (onigurumaPattern.size() > kMaxPatternBytes) {
    return Status(ErrorCode::kInvalidArgument,
                  "a pattern of " + std::to_string(onigurumaPattern.size()) +
                      " bytes, expected at most " + std::to_string(kMaxPatternBytes));
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::string pattern, translatePattern(onigurumaPattern));
  auto code = std::make_unique<Code>();
  pcre2_compile_context* settings = pcre2_compile_context_create(nullptr);
  if (settings) pcre2_set_newline(settings, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  // Oniguruma's ^ and $ hold at every line.
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &error, &place, settings);
  pcre2_compile_context_free(settings);
  if (!code->code) {
    return Status(ErrorCode::kInvalidArgument, "expected a regular expression, but " +
                                                   messageOf(error) + " near byte " +
                                                   std::to_string(place));
  }
  // Without a just-in-time compiler for this machine the interpreter does the same, slower.
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);
  code->context = pcre2_match_context_create(nullptr);
  if (!code->context) return Status(ErrorCode::kResourceExhausted, "no memory for a pattern");
  pcre2_set_match_limit(code->context, kMatchLimit);
  return Pattern(std::move(code));
}

Result<Pattern> Pattern::literal(std::string_view text) {
  if (text.empty() || text.size() > kMaxPatternBytes) {
    return Status(ErrorCode::kInvalidArgument, "a text of " + std::to_string(text.size()) +
                                                   " bytes to look for, expected 1 to " +
                                                   std::to_string(kMaxPatternBytes));
  }
  auto code = std::make_unique<Code>();
  code->literal = text;
  return Pattern(std::move(code));
}

Result<std::vector<Pattern::Match>> Pattern::findAll(std::string_view text) const {
  if (!code_->literal.empty()) return code_->findLiteral(text);
  std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  if (!data) return Status(ErrorCode::kResourceExhausted, "no memory to match a pattern");
  const PCRE2_SIZE* place = pcre2_get_ovector_pointer(data.get());
  std::vector<Match> out;
  size_t start = 0;
  while (start < text.size()) {
    const int found = code_->match(text, start, data.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return Status(ErrorCode::kResourceExhausted, "the tokenizer's pattern gives up at byte " +
                                                       std::to_string(start) + ": " +
                                                       messageOf(found));
    }
    const bool usable = place[0] >= start && place[1] > place[0];  // empty ones cut nothing
    if (usable) out.push_back({place[0], place[1]});
    start = usable ? place[1] : std::max(start, place[1]) + 1;
    while (start < text.size() && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) {
      ++start;
    }
  }
  return out;
}

Result<std::string> Pattern::replaceAll(std::string_view text, std::string_view content,
                                        size_t limit) const {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<Match> matches, findAll(text));
  size_t kept = text.size();
  for (const Match& match : matches) kept -= match.end - match.begin;
  if (kept > limit || (!content.empty() && matches.size() > (limit - kept) / content.size())) {
    return Status(ErrorCode::kInvalidArgument, "a text that the tokenizer makes longer than the " +
                                                   std::to_string(limit) + " bytes it may have");
  }
  std::string out;
  out.reserve(kept + matches.size() * content.size());
  size_t done = 0;
  for (const Match& match : matches) {
    out.append(text.substr(done, match.begin - done)).append(content);
    done = match.end;
  }
  return out.append(text.substr(done));
}

}  // namespace spolia::engine
