// Byte-pair merging of one piece of text by a vocabulary and ranked merges: the "model" of a
// tokenizer.json of type BPE, or what a SentencePiece model says.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "engine/model/token_decoder.h"

namespace spolia::engine {

// A model spelled in characters, with byte fallback and unknown characters fused.
struct BpePieces {
  struct Merge {
    codec::TokenId left = 0;
    codec::TokenId right = 0;
    codec::TokenId merged = 0;
  };
  std::unordered_map<std::string, codec::TokenId> vocabulary;
  std::vector<Merge> merges;  // the first to be done first
  codec::TokenId unknown = 0;
};

// Immutable, any thread; moves.
class Bpe {
 public:
  // From the file's "model"; `file` stands for the file in errors. kUnsupported for another kind of
  // model.
  static Result<Bpe> parse(const nlohmann::json& model, TextUnit unit, std::string_view file);
  // That the file's "model" is of the kind that parse() reads.
  static Status checkKind(const nlohmann::json& model, std::string_view file);
  // Ids are at most kMaxTokenId, and those of merges in the vocabulary.
  static Bpe make(BpePieces pieces);

  // Appends the ids of a piece: raw bytes, or well-formed text where characters are the unit. What
  // the vocabulary lacks becomes tokens of its bytes with byte fallback, else the unknown token
  // where the file names one, and nothing otherwise, as in the reference. Takes n log n steps.
  // kResourceExhausted when more than kMaxStretch characters in a row might merge.
  Status encode(std::string_view piece, std::vector<codec::TokenId>& out) const;

  // The id of a token as the file spells it.
  std::optional<codec::TokenId> find(std::string_view token) const;
  const std::unordered_map<std::string, codec::TokenId>& vocabulary() const { return vocabulary_; }

  // Ids above are refused: tables by id stay small whatever a file says.
  static constexpr codec::TokenId kMaxTokenId = (1u << 21) - 1;
  static constexpr size_t kMaxStretch = size_t{1} << 24;

 private:
  struct Merge {
    uint64_t pair = kNoPair;  // left id << 32 | right id
    uint32_t rank = 0;
    codec::TokenId merged = 0;
  };
  struct Symbol {
    codec::TokenId id = 0;
    int previous = -1;
    int next = -1;
  };
  static constexpr uint64_t kNoPair = UINT64_MAX;
  static constexpr codec::TokenId kNoToken = UINT32_MAX;

  Status parseFlags(const nlohmann::json& model, std::string_view file);
  Status parseVocabulary(const nlohmann::json& model, std::string_view file);
  Status parseMerges(const nlohmann::json& model, std::string_view file);
  Status addMerge(std::string_view left, std::string_view right, uint32_t rank);
  void reserveMerges(size_t count);
  void insertMerge(const Merge& merge);
  const Merge* findMerge(codec::TokenId left, codec::TokenId right) const;
  void indexVocabulary();
  codec::TokenId characterId(uint32_t codePoint) const;

  // Pairs of first ids that stand side by side within some token: between others no merge happens.
  void indexJoints();
  bool mayJoin(codec::TokenId left, codec::TokenId right) const;

  template <typename Sink>
  void firstIdsOfBytes(std::string_view piece, Sink&& sink) const;
  template <typename Sink>
  void firstIdsOfCharacters(std::string_view piece, Sink&& sink) const;
  void mergeStretch(std::vector<codec::TokenId>& ids, std::vector<codec::TokenId>& out) const;
  void mergeShort(std::vector<codec::TokenId>& ids) const;
  void mergeLong(std::vector<codec::TokenId>& ids) const;

  TextUnit unit_ = TextUnit::kBytes;
  std::unordered_map<std::string, codec::TokenId> vocabulary_;   // as the file spells them
  std::unordered_map<std::string, codec::TokenId> wholePieces_;  // as in text; ignore_merges only
  std::vector<Merge> merges_;                                    // open addressing, a power of two
  std::vector<uint64_t> joints_;                                 // likewise
  std::vector<codec::TokenId> characterIds_;  // by code point, up to the last one
  std::vector<codec::TokenId> byteIds_;       // of the symbol of a byte, or its fallback token
  std::optional<codec::TokenId> unknown_;
  bool byteFallback_ = false;
  bool fuseUnknown_ = false;
  bool ignoreMerges_ = false;  // a piece that is a token is that token
};

}  // namespace spolia::engine
