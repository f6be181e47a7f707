// The step of a byte-level tokenizer that cuts text into the pieces within which BPE merges: the
// pre_tokenizer of a tokenizer.json.
#pragma once

#include <deque>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/model/pattern.h"

namespace spolia::engine {

// What becomes of the matches of a split. Names as in the file.
enum class SplitBehavior : uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

// Pieces of a text. Views into the text that was cut, or into `made`.
struct Pieces {
  std::vector<std::string_view> views;
  std::deque<std::string> made;  // texts that got a blank in front
};

// Immutable, any thread; moves.
class PreTokenizer {
 public:
  // From the file's "pre_tokenizer"; `file` stands for the file in errors.
  static Result<PreTokenizer> parse(const nlohmann::json& value, std::string_view file);

  // Cuts a non-empty, well-formed text, which outlives the pieces. Errors as Pattern::findAll.
  Result<Pieces> cut(std::string_view text) const;

 private:
  struct Step {
    bool prefixSpace = false;        // puts a blank before pieces that do not begin with one
    std::unique_ptr<Pattern> split;  // null: none
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // the text between matches counts as matched
  };

  static Result<Step> parseStep(const nlohmann::json& value, std::string_view file,
                                const std::string& field);

  std::vector<Step> steps_;
};

}  // namespace spolia::engine
