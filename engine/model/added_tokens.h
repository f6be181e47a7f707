// Tokens that are found in the text itself before anything else is done with it: the "added_tokens"
// of a tokenizer.json, special ones among them.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"

namespace spolia::engine {

struct AddedToken {
  codec::TokenId id = 0;
  std::string content;
  bool singleWord = false;  // counts only between characters that are no word characters
  bool leftStrip = false;   // swallows white space before it
  bool rightStrip = false;  // and after it
  bool normalized = false;  // looked for after normalisation instead of before
  bool special = false;
};

// From the file's "added_tokens" (absent: none); `file` stands for the file in errors. Tokens
// without content are left out.
Result<std::vector<AddedToken>> parseAddedTokens(const nlohmann::json& document,
                                                 std::string_view file);

// Finds a set of tokens. Immutable, any thread; moves.
class AddedTokenMatcher {
 public:
  // A stretch of text: one token, or what lies between tokens.
  struct Part {
    std::string_view text;
    std::optional<codec::TokenId> token;
  };

  AddedTokenMatcher() = default;
  // Of tokens with the same content the first one counts.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // The text from left to right, the longest token first where several begin; no part is empty.
  // `text` is well-formed. With `allows`, tokens count only at bytes [begin, end) that it allows.
  using Allows = std::function<bool(size_t begin, size_t end)>;
  std::vector<Part> split(std::string_view text, const Allows& allows = {}) const;

 private:
  const AddedToken* longestAt(std::string_view text) const;

  // Tokens of one length with one first byte.
  struct Group {
    size_t length = 0;
    size_t begin = 0;
    size_t end = 0;
  };

  std::vector<AddedToken> tokens_;           // longest first, then by content
  std::vector<std::vector<Group>> byFirst_;  // ranges of them by first byte, longest first
};

}  // namespace spolia::engine
