// Text to token ids and back, as a Hugging Face tokenizer.json of the byte-level BPE kind says
// (GPT-2, Llama 3, Qwen2, SmolLM2 and relatives).
//
// Supported: normalizer none or NFC; pre-tokenizers ByteLevel, and a Sequence of Split and Digits
// that ends with ByteLevel; added tokens with all their flags; ignore_merges. Padding, truncation
// and post-processor are not applied: which special tokens stand around a text is the caller's
// business. A loaded tokenizer never changes: const calls from any thread. Moves.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"

namespace spolia::engine {

// What decode() does with tokens the file marks as special.
enum class SpecialTokens : uint8_t { kKeep, kSkip };

class Tokenizer {
 public:
  // kNotFound without the file; kUnsupported for another kind of tokenizer, kInvalidArgument for a
  // broken file. Errors name file and field and say what was expected.
  static Result<Tokenizer> load(const std::filesystem::path& tokenizerJson);
  // The same from the file's bytes; `name` stands for the file in errors.
  static Result<Tokenizer> parse(std::string_view json, std::string_view name);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // The ids of `text`; added tokens are recognised in it, none is added. Each maximal ill-formed
  // part of invalid UTF-8 counts as U+FFFD. kResourceExhausted when a pattern of the file needs
  // more backtracking than is allowed, kInvalidArgument beyond kMaxTextBytes.
  Result<std::vector<codec::TokenId>> encode(std::string_view text) const;
  // The text of the ids, ill-formed UTF-8 replaced by U+FFFD. Ids the vocabulary lacks give
  // nothing.
  std::string decode(std::span<const codec::TokenId> ids,
                     SpecialTokens special = SpecialTokens::kKeep) const;
  // The bytes one token stands for, perhaps part of a character; empty for an unknown id. For
  // callers that decode token by token.
  std::string_view tokenBytes(codec::TokenId id) const;

  // One more than the largest id.
  uint32_t vocabSize() const;
  // The id of a token as the file spells it ("<|bos|>"), added tokens first.
  std::optional<codec::TokenId> find(std::string_view token) const;

  static constexpr size_t kMaxTextBytes = size_t{1} << 30;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<const Parts> parts);

  std::unique_ptr<const Parts> parts_;
};

}  // namespace spolia::engine
