// SentencePiece's tokenizer.model: pieces with scores, of which BPE makes its merges. The protobuf
// is read field by field; what is not needed is passed over. Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/model/added_tokens.h"
#include "engine/model/bpe.h"

namespace spolia::engine {

// Numbers as in sentencepiece_model.proto.
enum class PieceKind : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Piece {
  std::string text;  // U+2581 for blanks
  float score = 0;   // of two merges the one that makes the piece of higher score comes first
  PieceKind kind = PieceKind::kNormal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces;     // by id
  bool addsBlankInFront = true;  // add_dummy_prefix
};

// kUnsupported, with the field, for model types other than BPE and for normalisation other than the
// escaping of blanks; kInvalidArgument for a broken file. `file` stands for the file in errors.
Result<SentencePieceModel> parseSentencePiece(std::string_view bytes, std::string_view file);

// What Hugging Face's conversion of Llama tokenizers makes of the pieces: every way to make a piece
// of two others is a merge, by falling score, then by falling length of the left part in
// characters. kInvalidArgument for pieces that are no such model: none or two unknown ones, two of
// one text, empty or long ones, scores that are no numbers.
Result<BpePieces> mergesOf(const SentencePieceModel& model, std::string_view file);

// Unknown, control and user-defined pieces: they are found in the text itself.
std::vector<AddedToken> addedTokensOf(const SentencePieceModel& model);

inline constexpr size_t kMaxSentencePieceBytes = 32 << 20;  // of a file
inline constexpr size_t kMaxPieceBytes = 512;

}  // namespace spolia::engine
