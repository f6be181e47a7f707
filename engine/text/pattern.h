// Regular expressions of tokenizer files. They are written for Oniguruma and run here by PCRE2 with
// Unicode 14 properties, translated where the two mean different things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

namespace spolia::engine {

// A compiled pattern. Immutable, any thread; moves.
class Pattern {
 public:
  struct Match {
    size_t begin = 0;
    size_t end = 0;
  };

  // kInvalidArgument when it is no pattern, kUnsupported for the few constructs of Oniguruma that
  // cannot be translated.
  static Result<Pattern> compile(std::string_view onigurumaPattern);
  // Matches exactly `text`.
  static Result<Pattern> literal(std::string_view text);

  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  // Non-empty matches from left to right in well-formed UTF-8. kResourceExhausted beyond
  // kMatchLimit steps of backtracking in one match.
  Result<std::vector<Match>> findAll(std::string_view text) const;
  // `text` with `content` in place of each match. kInvalidArgument when that is longer than `limit`
  // bytes, else errors as findAll.
  Result<std::string> replaceAll(std::string_view text, std::string_view content,
                                 size_t limit) const;

  static constexpr uint32_t kMatchLimit = 20'000'000;

 private:
  struct Code;
  explicit Pattern(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

// The pattern in PCRE2's notation; for tests.
Result<std::string> translatePattern(std::string_view onigurumaPattern);

}  // namespace spolia::engine
