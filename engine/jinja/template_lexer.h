// The tokens of a Jinja template, white space controlled as transformers does it: trim_blocks and
// lstrip_blocks on, one line break at the end dropped, every line break is "\n". Views of nothing;
// any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

namespace spolia::engine::jinja {

// Where something begins in a template, both from 1; columns are bytes.
struct Place {
  uint32_t line = 1;
  uint32_t column = 1;
};

// "line 3, column 7: " in front of the message.
Status at(const Place& place, const Status& failure);
// With quotation marks around it.
std::string quoted(std::string_view text);
Status syntaxError(const Place& place, const std::string& message);

enum class TokenKind : uint8_t {
  kText,  // outside of all tags
  kBlockBegin,
  kBlockEnd,
  kOutputBegin,
  kOutputEnd,
  kName,
  kString,   // unescaped
  kInteger,  // digits
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Place place;

  bool is(TokenKind wanted, std::string_view spelling) const {
    return kind == wanted && text == spelling;
  }
};

// The last one is kEnd. kInvalidArgument with the place for what is no template, kUnsupported
// beyond kMaxTemplateBytes.
Result<std::vector<Token>> tokenize(std::string_view source);

inline constexpr size_t kMaxTemplateBytes = size_t{128} << 10;

}  // namespace spolia::engine::jinja
