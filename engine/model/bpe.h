// Byte-pair merging of one piece of text by a vocabulary and ranked merges: the "model" of a
// tokenizer.json of type BPE.
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

namespace spolia::engine {

// Immutable, any thread; moves.
class Bpe {
 public:
  // From the file's "model"; `file` stands for the file in errors.
  static Result<Bpe> parse(const nlohmann::json& model, std::string_view file);

  // Appends the ids of a piece of raw bytes. Bytes whose symbol the vocabulary lacks become the
  // unknown token where the file names one, and nothing otherwise, as in the reference.
  void encode(std::string_view piece, std::vector<codec::TokenId>& out) const;

  // The id of a token as the file spells it (symbols for bytes).
  std::optional<codec::TokenId> find(std::string_view token) const;
  const std::unordered_map<std::string, codec::TokenId>& vocabulary() const { return vocabulary_; }

  // Ids above are refused: tables by id stay small whatever a file says.
  static constexpr codec::TokenId kMaxTokenId = (1u << 21) - 1;

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

  Status parseVocabulary(const nlohmann::json& model, std::string_view file);
  Status parseMerges(const nlohmann::json& model, std::string_view file);
  Status addMerge(std::string_view left, std::string_view right, uint32_t rank);
  void insertMerge(const Merge& merge);
  const Merge* findMerge(codec::TokenId left, codec::TokenId right) const;
  void firstIds(std::string_view piece, std::vector<codec::TokenId>& ids) const;
  void mergeShort(std::vector<codec::TokenId>& ids) const;
  void mergeLong(std::vector<codec::TokenId>& ids) const;

  std::unordered_map<std::string, codec::TokenId> vocabulary_;   // spelled in symbols
  std::unordered_map<std::string, codec::TokenId> wholePieces_;  // raw bytes; ignore_merges only
  std::vector<Merge> merges_;                                    // open addressing, a power of two
  std::vector<std::optional<codec::TokenId>> byteIds_;
  std::optional<codec::TokenId> unknown_;
  bool fuseUnknown_ = false;
  bool ignoreMerges_ = false;  // a piece that is a token is that token
};

}  // namespace spolia::engine
