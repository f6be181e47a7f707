// What a tokenizer does to text before anything is cut: the "normalizer" of a tokenizer.json.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/text/pattern.h"

namespace spolia::engine {

// Elements of a Sequence in a tokenizer.json: normalizers, pre-tokenizers or decoders.
inline constexpr size_t kMaxTokenizerSteps = 32;

// Supported: NFC, Prepend, Replace and Sequences of these. Immutable, any thread; moves.
class Normalizer {
 public:
  // Changes nothing.
  Normalizer() = default;
  // From the file's "normalizer", null where it has none; `file` stands for the file in errors.
  // kUnsupported for another kind.
  static Result<Normalizer> parse(const nlohmann::json* value, std::string_view file);
  // Blanks become U+2581, and one is put in front where `prepends`: SentencePiece's escaping.
  static Normalizer escapeBlanks(bool prepends);

  bool changesNothing() const { return steps_.empty(); }
  // Well-formed text in and out. kInvalidArgument when it grows beyond `limit` bytes,
  // kResourceExhausted as Pattern::findAll.
  Result<std::string> apply(std::string_view text, size_t limit) const;

 private:
  enum class Kind : uint8_t { kNfc, kPrepend, kReplace };
  struct Step {
    Kind kind = Kind::kNfc;
    std::string content;               // what is put in front, or in place of matches
    std::unique_ptr<Pattern> pattern;  // kReplace only
  };

  static Result<Step> parseStep(const nlohmann::json& value, std::string_view file,
                                const std::string& field);

  std::vector<Step> steps_;
};

// The "pattern" of `step`, an object of file `file`: {"Regex": "..."} or {"String": "..."}.
// `prefix` ("decoder.") stands before field names in errors.
Result<Pattern> parsePattern(const nlohmann::json& step, std::string_view file,
                             const std::string& prefix);

// SentencePiece's sign for a blank, U+2581.
inline constexpr std::string_view kBlankSign = "\xE2\x96\x81";

}  // namespace spolia::engine
