// The step that cuts text into the pieces within which BPE merges: the pre_tokenizer of a
// tokenizer.json.
#pragma once

#include <deque>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/model/json_file.h"
#include "engine/text/pattern.h"

namespace spolia::engine {

// What becomes of the matches of a split. Names as in the file.
enum class SplitBehavior : uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

// Where a text that is cut stands in the whole text.
enum class TextPlace : uint8_t { kBegin, kWithin };

// Pieces of a text. Views into the text that was cut, or into `made`.
struct Pieces {
  std::vector<std::string_view> views;
  std::deque<std::string> made;  // texts that were changed
};

// Supported: ByteLevel (alone, or last), Metaspace, Split, Digits and Sequences of these.
// Immutable, any thread; moves.
class PreTokenizer {
 public:
  // Cuts nothing.
  PreTokenizer() = default;
  // From the file's "pre_tokenizer", null where it has none; `file` stands for the file in errors.
  // kUnsupported for another kind.
  static Result<PreTokenizer> parse(const nlohmann::json* value, std::string_view file);

  // The vocabulary spells bytes by symbols: the pre-tokenizer is, or ends with, ByteLevel.
  bool byteLevel() const { return byteLevel_; }
  // Cuts a non-empty, well-formed text, which outlives the pieces. Errors as Pattern::findAll.
  Result<Pieces> cut(std::string_view text, TextPlace place) const;

 private:
  enum class Prefix : uint8_t { kNever, kFirst, kAlways };
  struct Step {
    std::string blank = " ";         // what stands for a blank
    Prefix prefix = Prefix::kNever;  // which pieces get one in front unless one is there
    std::unique_ptr<Pattern> split;  // null: none
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // the text between matches counts as matched
  };

  static Result<Step> parseStep(const nlohmann::json& value, std::string_view file,
                                const std::string& field);
  static Status parseMetaspace(const JsonFields& fields, Step& step);
  static std::string_view withBlanks(const Step& step, std::string_view piece, bool first,
                                     Pieces& pieces);

  std::vector<Step> steps_;
  bool byteLevel_ = false;
};

}  // namespace spolia::engine
