// AnswerText: the text of an answer as its tokens come: whole characters only, no white space at
// its beginning, cut before a stop text. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spolia::engine {

class AnswerText {
 public:
  // `stops` are not empty texts.
  explicit AnswerText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The bytes of the next token. Gives the text that is certain by now: what may still become a
  // stop text, or part of a character, is held back. Nothing once stopped().
  std::string feed(std::string_view bytes);
  // What was held back; ill-formed UTF-8 is replaced by U+FFFD.
  std::string finish();
  // A stop text came; it and what follows are no part of the answer.
  bool stopped() const { return stopped_; }

 private:
  // Bytes at the end of pending_ that could be the beginning of a stop text or of a character.
  size_t uncertain() const;
  std::string take(size_t count);

  const std::vector<std::string> stops_;
  std::string pending_;
  bool begun_ = false;
  bool stopped_ = false;
};

// Well-formed UTF-8: each ill-formed byte becomes U+FFFD.
std::string replaceIllFormed(std::string_view text);

}  // namespace spolia::engine
