#include "engine/model/pre_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/model/normalizer.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

// What a ByteLevel pre-tokenizer cuts by unless use_regex is false: GPT-2's pattern.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Rust's char::is_numeric, which the Digits pre-tokenizer asks.
constexpr std::string_view kDigitPattern = R"(\p{N})";

struct Part {
  size_t begin = 0;
  size_t end = 0;
  bool matched = false;
};

// Matches and what lies between them, in order, covering the text.
std::vector<Part> partsOf(const std::vector<Pattern::Match>& matches, size_t size, bool invert) {
  std::vector<Part> parts;
  size_t end = 0;
  for (const Pattern::Match& match : matches) {
    if (match.begin > end) parts.push_back({end, match.begin, invert});
    parts.push_back({match.begin, match.end, !invert});
    end = match.end;
  }
  if (end < size) parts.push_back({end, size, invert});
  return parts;
}

std::vector<Part> mergeBackward(const std::vector<Part>& parts, bool anyKind) {
  std::vector<Part> out;
  bool before = false;
  for (const Part& part : parts) {
    const bool joins = anyKind ? part.matched == before : part.matched && !before;
    before = part.matched;
    if (joins && !out.empty()) {
      out.back().end = part.end;
    } else {
      out.push_back(part);
    }
  }
  return out;
}

std::vector<Part> mergeForward(const std::vector<Part>& parts) {
  std::vector<Part> out;  // from the end
  bool after = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    const bool joins = part->matched && !after;
    after = part->matched;
    if (joins && !out.empty()) {
      out.back().begin = part->begin;
    } else {
      out.push_back(*part);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Part> applyBehavior(std::vector<Part> parts, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      std::erase_if(parts, [](const Part& part) { return part.matched; });
      return parts;
    case SplitBehavior::kIsolated:
      return parts;
    case SplitBehavior::kMergedWithPrevious:
      return mergeBackward(parts, false);
    case SplitBehavior::kMergedWithNext:
      return mergeForward(parts);
    case SplitBehavior::kContiguous:
      return mergeBackward(parts, true);
  }
  return parts;
}

Result<SplitBehavior> behaviorOf(const JsonFields& fields) {
  constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  SPOLIA_ASSIGN_OR_RETURN(const std::string name, fields.string("behavior"));
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  return fields.wrong("behavior",
                      "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::unique_ptr<Pattern> onHeap(Pattern pattern) {
  return std::make_unique<Pattern>(std::move(pattern));
}

std::string replaced(std::string_view text, char from, std::string_view to) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    if (c == from) {
      out += to;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

// prepend_scheme is newer than add_prefix_space; files have either or both.
Status PreTokenizer::parseMetaspace(const JsonFields& fields, Step& step) {
  SPOLIA_ASSIGN_OR_RETURN(step.blank, fields.string("replacement", std::string(kBlankSign)));
  if (step.blank.empty() || utf8Length(step.blank) != step.blank.size()) {
    return fields.wrong("replacement", "one character");
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::string drawn, fields.string("str_rep", step.blank));
  if (drawn != step.blank) {
    return fields.wrong("str_rep", "the replacement", ErrorCode::kUnsupported);
  }
  SPOLIA_ASSIGN_OR_RETURN(const bool prefix, fields.boolean("add_prefix_space", true));
  SPOLIA_ASSIGN_OR_RETURN(const std::string scheme,
                          fields.string("prepend_scheme", prefix ? "always" : "never"));
  if (scheme == "always" && prefix) {
    step.prefix = Prefix::kAlways;
  } else if (scheme == "first" && prefix) {
    step.prefix = Prefix::kFirst;
  } else if (scheme != "never") {
    return fields.wrong("prepend_scheme",
                        prefix ? "always, first or never" : "never, as add_prefix_space is false");
  }
  SPOLIA_ASSIGN_OR_RETURN(const bool split, fields.boolean("split", true));
  if (!split) return Status();
  SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, Pattern::literal(step.blank));
  step.split = onHeap(std::move(pattern));
  step.behavior = SplitBehavior::kMergedWithNext;
  return Status();
}

Result<PreTokenizer::Step> PreTokenizer::parseStep(const json& value, std::string_view file,
                                                   const std::string& field) {
  const std::string prefix = field + ".";
  if (!value.is_object()) {
    return Status(ErrorCode::kInvalidArgument, std::string(file) + ": " + field + " is " +
                                                   describeJson(value) + ", expected an object");
  }
  const JsonFields fields(value, file, prefix);
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  Step step;
  if (type == "ByteLevel") {
    SPOLIA_ASSIGN_OR_RETURN(const bool blank, fields.boolean("add_prefix_space", true));
    if (blank) step.prefix = Prefix::kAlways;
    SPOLIA_ASSIGN_OR_RETURN(const bool regex, fields.boolean("use_regex", true));
    if (regex) {
      SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, Pattern::compile(kByteLevelPattern));
      step.split = onHeap(std::move(pattern));
    }
  } else if (type == "Metaspace") {
    SPOLIA_RETURN_IF_ERROR(parseMetaspace(fields, step));
  } else if (type == "Digits") {
    SPOLIA_ASSIGN_OR_RETURN(const bool single, fields.boolean("individual_digits", false));
    SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, Pattern::compile(kDigitPattern));
    step.split = onHeap(std::move(pattern));
    step.behavior = single ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
  } else if (type == "Split") {
    SPOLIA_ASSIGN_OR_RETURN(step.behavior, behaviorOf(fields));
    SPOLIA_ASSIGN_OR_RETURN(step.invert, fields.boolean("invert", false));
    SPOLIA_ASSIGN_OR_RETURN(Pattern pattern, parsePattern(value, file, prefix));
    step.split = onHeap(std::move(pattern));
  } else {
    return fields.wrong("type", "null, ByteLevel, Metaspace, Split, Digits or a Sequence of these",
                        ErrorCode::kUnsupported);
  }
  return step;
}

Result<PreTokenizer> PreTokenizer::parse(const json* value, std::string_view file) {
  PreTokenizer out;
  if (!value) return out;
  std::vector<std::pair<std::string, const json*>> steps;
  const bool sequence = value->is_object() && value->value("type", json()) == "Sequence";
  if (sequence) {
    const JsonFields fields(*value, file, "pre_tokenizer.");
    const json* list = fields.find("pretokenizers");
    if (!list || !list->is_array() || list->empty() || list->size() > kMaxTokenizerSteps) {
      return fields.wrong("pretokenizers", "a list of pre-tokenizers");
    }
    for (size_t i = 0; i < list->size(); ++i) {
      steps.emplace_back("pre_tokenizer.pretokenizers[" + std::to_string(i) + "]", &(*list)[i]);
    }
  } else {
    steps.emplace_back("pre_tokenizer", value);
  }
  for (const auto& [field, step] : steps) {
    // Steps after it would see symbols for bytes instead of text.
    if (out.byteLevel_) {
      return Status(ErrorCode::kUnsupported, std::string(file) + ": " + field +
                                                 " follows ByteLevel, expected it as the last "
                                                 "pre-tokenizer");
    }
    SPOLIA_ASSIGN_OR_RETURN(Step parsed, parseStep(*step, file, field));
    out.byteLevel_ = step->value("type", json()) == "ByteLevel";
    out.steps_.push_back(std::move(parsed));
  }
  return out;
}

std::string_view PreTokenizer::withBlanks(const Step& step, std::string_view piece, bool first,
                                          Pieces& pieces) {
  if (step.blank != " " && piece.find(' ') != std::string_view::npos) {
    piece = pieces.made.emplace_back(replaced(piece, ' ', step.blank));
  }
  const bool wanted = step.prefix == Prefix::kAlways || (step.prefix == Prefix::kFirst && first);
  if (!wanted || piece.starts_with(step.blank)) return piece;
  return pieces.made.emplace_back(step.blank).append(piece);
}

Result<Pieces> PreTokenizer::cut(std::string_view text, TextPlace place) const {
  Pieces out;
  out.views.push_back(text);
  bool begins = place == TextPlace::kBegin;  // the first piece begins the whole text
  for (const Step& step : steps_) {
    std::vector<std::string_view> next;
    bool nextBegins = false;
    for (size_t i = 0; i < out.views.size(); ++i) {
      const std::string_view piece = withBlanks(step, out.views[i], begins && i == 0, out);
      if (!step.split) {
        next.push_back(piece);
        nextBegins |= begins && i == 0;
        continue;
      }
      SPOLIA_ASSIGN_OR_RETURN(const auto matches, step.split->findAll(piece));
      const auto parts = applyBehavior(partsOf(matches, piece.size(), step.invert), step.behavior);
      for (const Part& part : parts) {
        nextBegins |= begins && i == 0 && part.begin == 0;
        next.push_back(piece.substr(part.begin, part.end - part.begin));
      }
    }
    out.views = std::move(next);
    begins = nextBegins;
  }
  return out;
}

}  // namespace spolia::engine
