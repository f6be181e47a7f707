#include "engine/linker/chunker.h"

#include <algorithm>
#include <optional>

namespace spolia::engine {

namespace {

// Longer sentences are cut without looking further: 64 bytes a token is beyond any prose, and
// without a limit a file in one line would be tokenised whole for every chunk.
constexpr size_t kMaxSentenceBytesPerToken = 64;

bool isSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool isContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}
bool isLineBreak(char c) {
  return c == '\n' || c == '\r';
}

// The last character boundary at or before `at`; at least one character when at > 0.
size_t characterBoundary(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  size_t back = at;
  while (back > 0 && isContinuation(text[back])) --back;
  if (back > 0) return back;
  size_t forward = at;
  while (forward < text.size() && isContinuation(text[forward])) ++forward;
  return forward;
}

class Packer {
 public:
  Packer(std::string_view text, uint32_t maxTokens, const Tokenize& tokenize)
      : rest_(text), maxTokens_(maxTokens), tokenize_(tokenize) {}

  Result<std::vector<TextChunk>> run() {
    std::vector<TextChunk> out;
    while (!rest_.empty()) {
      SPOLIA_ASSIGN_OR_RETURN(TextChunk chunk, next());
      if (chunk.tokens.empty()) {
        return Status(ErrorCode::kInvalidArgument, "a part of the text has no tokens");
      }
      rest_.remove_prefix(chunk.text.size());
      out.push_back(std::move(chunk));
    }
    return out;
  }

 private:
  Result<TextChunk> tokenized(size_t length) const {
    std::string text(rest_.substr(0, length));
    SPOLIA_ASSIGN_OR_RETURN(std::vector<codec::TokenId> tokens, tokenize_(text));
    return TextChunk{std::move(text), std::move(tokens)};
  }
  bool fits(const TextChunk& chunk) const { return chunk.tokens.size() <= maxTokens_; }

  size_t sentenceEnd(size_t begin) const {
    return begin + sentenceLength(rest_.substr(begin), maxTokens_ * kMaxSentenceBytesPerToken);
  }

  // Sentence ends to try, from the sum of the sentences' own counts, which is close to the count
  // of the joined text but not equal to it.
  Result<std::vector<size_t>> estimatedEnds() const {
    std::vector<size_t> ends;
    size_t begin = 0, sum = 0;
    while (begin < rest_.size()) {
      const size_t end = sentenceEnd(begin);
      SPOLIA_ASSIGN_OR_RETURN(std::vector<codec::TokenId> tokens,
                              tokenize_(rest_.substr(begin, end - begin)));
      sum += tokens.size();
      if (sum > maxTokens_ && !ends.empty()) break;
      ends.push_back(end);
      begin = end;
      if (sum > maxTokens_) break;
    }
    return ends;
  }

  // As many whole sentences as fit, or a part of the first.
  Result<TextChunk> next() const {
    SPOLIA_ASSIGN_OR_RETURN(std::vector<size_t> ends, estimatedEnds());
    while (true) {
      SPOLIA_ASSIGN_OR_RETURN(TextChunk chunk, tokenized(ends.back()));
      if (fits(chunk)) return grown(std::move(chunk));
      if (ends.size() == 1) return firstPart(ends.back());
      ends.pop_back();
    }
  }

  Result<TextChunk> grown(TextChunk chunk) const {
    while (chunk.text.size() < rest_.size()) {
      SPOLIA_ASSIGN_OR_RETURN(TextChunk longer, tokenized(sentenceEnd(chunk.text.size())));
      if (!fits(longer)) break;
      chunk = std::move(longer);
    }
    return chunk;
  }

  // The longest prefix of [0, tooLong) that fits, as far as counts grow with length.
  Result<TextChunk> firstPart(size_t tooLong) const {
    size_t bad = tooLong;
    SPOLIA_ASSIGN_OR_RETURN(TextChunk best, tokenized(characterBoundary(rest_, 1)));
    for (size_t guess = maxTokens_; guess < bad; guess *= 2) {
      const size_t length = characterBoundary(rest_, guess);
      if (length >= bad) break;
      SPOLIA_ASSIGN_OR_RETURN(TextChunk chunk, tokenized(length));
      if (!fits(chunk)) {
        bad = length;
        break;
      }
      best = std::move(chunk);
    }
    while (true) {
      const size_t length = characterBoundary(rest_, (best.text.size() + bad) / 2);
      if (length <= best.text.size() || length >= bad) return best;
      SPOLIA_ASSIGN_OR_RETURN(TextChunk chunk, tokenized(length));
      if (fits(chunk)) {
        best = std::move(chunk);
      } else {
        bad = length;
      }
    }
  }

  std::string_view rest_;
  const uint32_t maxTokens_;
  const Tokenize& tokenize_;
};

// Length of the well-formed character at the front, 0 when it is not well-formed.
size_t characterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  // Second bytes that would spell an overlong form, a surrogate or more than U+10FFFF.
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if (!isContinuation(text[i])) return 0;
  }
  return length;
}

}  // namespace

size_t sentenceLength(std::string_view text, size_t limit) {
  size_t at = 0;
  while (at < text.size()) {
    if (at >= limit) return characterBoundary(text, limit);
    const char c = text[at];
    const bool stop = c == '.' || c == '!' || c == '?';
    if (!stop && !isSpace(c)) {
      ++at;
      continue;
    }
    const size_t spaces = at + (stop ? 1 : 0);
    size_t end = spaces;
    bool lineBreak = false;
    while (end < text.size() && end < limit && isSpace(text[end])) {
      lineBreak |= isLineBreak(text[end]);
      ++end;
    }
    if (lineBreak || (stop && end > spaces)) return end;
    at = std::max(end, at + 1);
  }
  return text.size();
}

Result<std::vector<TextChunk>> chunkText(std::string_view text, uint32_t maxTokens,
                                         const Tokenize& tokenize) {
  if (maxTokens < kMinChunkTokens || maxTokens > codec::kMaxChunkTokens) {
    return Status(ErrorCode::kInvalidArgument, "chunk tokens " + std::to_string(maxTokens) +
                                                   ": expected " + std::to_string(kMinChunkTokens) +
                                                   " to " + std::to_string(codec::kMaxChunkTokens));
  }
  return Packer(text, maxTokens, tokenize).run();
}

bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = characterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace spolia::engine
