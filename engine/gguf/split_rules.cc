#include "engine/gguf/split_rules.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr SplitRule kRules[] = {
    {.name = "gpt-2", .patterns = {}},
    {.name = "llama-bpe", .patterns = {kLlama3}, .ignoreMerges = true},
    {.name = "llama3", .patterns = {kLlama3}, .ignoreMerges = true},
    {.name = "llama-v3", .patterns = {kLlama3}, .ignoreMerges = true},
    {.name = "qwen2", .patterns = {kQwen2Pattern}, .nfc = true},
    {.name = "smollm", .patterns = {}, .digits = true},
    {.name = "tekken", .patterns = {kTekken}, .ignoreMerges = true},
    // What llama.cpp does with files that say no more.
    {.name = "default",
     .patterns = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}};

json byteLevel(bool blank, bool cuts) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", blank}, {"use_regex", cuts}};
}

}  // namespace

const SplitRule* splitRuleOf(std::string_view name) {
  const auto rule = std::ranges::find(kRules, name, &SplitRule::name);
  return rule == std::end(kRules) ? nullptr : &*rule;
}

std::string splitRuleNames() {
  std::string out;
  for (const SplitRule& rule : kRules) {
    if (!out.empty()) out += ", ";
    out.append("\"").append(rule.name).append("\"");
  }
  return out;
}

json preTokenizerOf(const SplitRule& rule, BlankInFront blank) {
  json steps = json::array();
  if (rule.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  for (const std::string_view pattern : rule.patterns) {
    if (pattern.empty()) break;
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byteLevel(blank == BlankInFront::kYes, rule.patterns[0].empty()));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

}  // namespace spolia::engine
