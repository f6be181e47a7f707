// How tokens become text again: the "decoder" of a tokenizer.json. Every token stands for bytes of
// its own; only what is taken off the ends of a text asks for the whole.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/model/json_file.h"
#include "engine/text/pattern.h"

namespace spolia::engine {

// What the vocabulary of a tokenizer is spelled in: symbols for bytes, or characters.
enum class TextUnit : uint8_t { kBytes, kCharacters };

// The byte that a token such as "<0x0A>" stands for, or -1.
int byteOfFallbackToken(std::string_view token);

// Supported: ByteLevel (or none) for bytes; for characters Replace, Metaspace, Strip, ByteFallback,
// Fuse and Sequences of these in which Strip alone follows Fuse, and Fuse or nothing ByteFallback.
// Immutable, any thread; moves.
class TokenDecoder {
 public:
  // ByteLevel.
  TokenDecoder() = default;
  // From the file's "decoder", null where it has none; `file` stands for the file in errors.
  // kUnsupported for another kind.
  static Result<TokenDecoder> parse(const nlohmann::json* value, TextUnit unit,
                                    std::string_view file);
  // U+2581 is a blank, "<0x0A>" a byte; the first blank of a text is taken off where `strips`.
  static TokenDecoder sentencePiece(bool strips);

  // The bytes a token stands for. kResourceExhausted as Pattern::findAll, kInvalidArgument for more
  // than kMaxTokenBytes.
  Result<std::string> bytesOf(std::string_view token) const;
  // The text without what is taken off its front, and off both ends.
  std::string_view trimFront(std::string_view text) const;
  std::string_view trim(std::string_view text) const;

  static constexpr size_t kMaxTokenBytes = 1 << 20;

 private:
  // Up to so many of a character at the ends.
  struct Trim {
    std::string content;
    uint32_t start = 0;
    uint32_t stop = 0;

    std::string_view front(std::string_view text) const;
    std::string_view back(std::string_view text) const;
  };
  // Of one token: replaces where there is a pattern, else trims.
  struct Step {
    std::unique_ptr<Pattern> pattern;
    std::string content;
    Trim trim;
  };
  enum class Stage : uint8_t { kTokens, kBytes, kFused };

  Status add(const nlohmann::json& value, std::string_view file, const std::string& field);
  Status addReplace(const nlohmann::json& value, std::string_view file, const std::string& field);
  Status addMetaspace(const JsonFields& fields);
  Status addStrip(const JsonFields& fields);

  TextUnit unit_ = TextUnit::kBytes;
  std::vector<Step> steps_;    // of a token
  bool byteFallback_ = false;  // afterwards
  std::vector<Trim> trims_;    // of the whole text
  Stage stage_ = Stage::kTokens;
};

}  // namespace spolia::engine
