// How text is cut before byte-level BPE merges within the pieces, by the names that GGUF files have
// for it (tokenizer.ggml.pre). Pure functions; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace spolia::engine {

// In a tokenizer.json of that name: what "normalizer", "pre_tokenizer" and "model.ignore_merges"
// say.
struct SplitRule {
  std::string_view name;
  // Regular expressions one after the other, each cutting what the one before left; none: GPT-2's.
  std::string_view patterns[4];
  bool digits = false;  // every digit is cut off before that
  bool nfc = false;
  bool ignoreMerges = false;
};

// Null for a name that is not known.
const SplitRule* splitRuleOf(std::string_view name);
// "gpt-2", "llama-bpe", ...
std::string splitRuleNames();
// The "pre_tokenizer". A blank stands in front of a text, as some files have it, or not.
enum class BlankInFront : uint8_t { kNo, kYes };
nlohmann::json preTokenizerOf(const SplitRule& rule, BlankInFront blank);

}  // namespace spolia::engine
