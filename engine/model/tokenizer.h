// Text to token ids and back, as a Hugging Face tokenizer.json of the BPE kind says: byte-level
// (GPT-2, Llama 3, Qwen2, SmolLM2 and relatives), or in characters with byte fallback (Llama 2,
// Mistral, Gemma).
//
// Supported: normalizers NFC, Prepend, Replace; pre-tokenizers ByteLevel, Metaspace, Split, Digits;
// decoders ByteLevel, or what token_decoder.h lists; Sequences of these; added tokens with all
// their flags; ignore_merges, byte_fallback, fuse_unk. Padding, truncation and post-processor are
// not applied: which special tokens stand around a text is the caller's business. A loaded
// tokenizer never changes: const calls from any thread. Moves.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"

namespace spolia::engine {

struct SentencePieceModel;

// What decode() does with tokens the file marks as special.
enum class SpecialTokens : uint8_t { kKeep, kSkip };

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0;
  size_t end = 0;
};

class Tokenizer {
 public:
  // kNotFound without the file; kUnsupported for another kind of model (WordPiece, Unigram,
  // WordLevel), normalizer, pre-tokenizer or decoder, kInvalidArgument for a broken file. Errors
  // name file and field and say what was expected.
  //
  // A file whose name ends with .model is SentencePiece's, of type BPE: it gives the ids of Hugging
  // Face's Llama tokenizer for it, and what stands in files beside it is not read. Another file is
  // a tokenizer.json.
  static Result<Tokenizer> load(const std::filesystem::path& file);
  // The same from the bytes of the file, of either kind by its name, or of one kind; `name` stands
  // for the file in errors.
  static Result<Tokenizer> parseFile(std::string_view bytes, const std::filesystem::path& file);
  static Result<Tokenizer> parse(std::string_view json, std::string_view name);
  static Result<Tokenizer> parseSentencePiece(std::string_view bytes, std::string_view name);
  // From what another file holds: the parts of a tokenizer.json, or pieces; errors as parse() and
  // mergesOf().
  static Result<Tokenizer> make(const nlohmann::json& document, std::string_view name);
  static Result<Tokenizer> make(const SentencePieceModel& model, std::string_view name);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // The ids of `text`; added tokens are recognised in it, none is added. Each maximal ill-formed
  // part of invalid UTF-8 counts as U+FFFD. Takes n log n steps at most where the file has no
  // patterns. kResourceExhausted when a pattern of the file needs more backtracking than is allowed
  // or a text is one long run that might merge (Bpe::kMaxStretch), kInvalidArgument beyond
  // kMaxTextBytes, before or after normalisation.
  Result<std::vector<codec::TokenId>> encode(std::string_view text) const;
  // The same, but tokens that the file marks as special are not recognised where a part of them
  // lies in one of `content`: there they are text as any other. The ranges ascend and lie apart.
  // kInvalidArgument too for ill-formed text.
  Result<std::vector<codec::TokenId>> encode(std::string_view text,
                                             std::span<const TextRange> content) const;
  // Of a text that is content all of it; what is not well-formed counts as in encode().
  Result<std::vector<codec::TokenId>> encodeContent(std::string_view text) const;
  // The text of the ids, ill-formed UTF-8 replaced by U+FFFD. Where the file says so, less the
  // blank that encode() put in front. Ids the vocabulary lacks give nothing.
  std::string decode(std::span<const codec::TokenId> ids,
                     SpecialTokens special = SpecialTokens::kKeep) const;
  // The bytes one token stands for, perhaps part of a character; empty for an unknown id. For
  // callers that decode token by token: those of all tokens, one behind the other, are what
  // decode() makes its text of.
  std::string_view tokenBytes(codec::TokenId id) const;
  // `bytes` without what decode() takes off the front of a text. A caller that decodes a whole text
  // token by token takes it off the first bytes; one that decodes what follows other text does not.
  std::string_view trimFront(std::string_view bytes) const;

  // One more than the largest id.
  uint32_t vocabSize() const;
  // The id of a token as the file spells it ("<|bos|>"), added tokens first.
  std::optional<codec::TokenId> find(std::string_view token) const;

  static constexpr size_t kMaxFileBytes = size_t{256} << 20;
  static constexpr size_t kMaxTextBytes = size_t{1} << 30;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<const Parts> parts);

  std::unique_ptr<const Parts> parts_;
};

}  // namespace spolia::engine
