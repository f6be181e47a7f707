#include "engine/model/sentencepiece.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <tuple>

#include "engine/model/json_file.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using codec::TokenId;

namespace {

constexpr size_t kMaxMerges = size_t{1} << 22;

// One field of a protobuf message: a number, or bytes.
struct Field {
  uint32_t number = 0;
  uint32_t wire = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

constexpr uint32_t kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5;

// Walks the fields of one message. A field that the caller knows but that has another wire type is
// broken, as is whatever does not end where its message ends.
class Message {
 public:
  Message(std::string_view bytes, std::string_view file, std::string name)
      : begin_(bytes.data()), rest_(bytes), file_(file), name_(std::move(name)) {}

  bool done() const { return rest_.empty(); }

  Result<Field> next() {
    Field out;
    SPOLIA_ASSIGN_OR_RETURN(const uint64_t tag, varint());
    out.number = static_cast<uint32_t>(tag >> 3);
    out.wire = static_cast<uint32_t>(tag & 7);
    if (tag >> 32 || out.number == 0) return broken("a field");
    if (out.wire == kVarint) {
      SPOLIA_ASSIGN_OR_RETURN(out.value, varint());
    } else if (out.wire == kLength) {
      SPOLIA_ASSIGN_OR_RETURN(const uint64_t length, varint());
      SPOLIA_ASSIGN_OR_RETURN(out.bytes, take(length));
    } else if (out.wire == kFixed32 || out.wire == kFixed64) {
      SPOLIA_ASSIGN_OR_RETURN(out.bytes, take(out.wire == kFixed32 ? 4 : 8));
    } else {
      return broken("a field of a known wire type");
    }
    return out;
  }

  Status expect(const Field& field, uint32_t wire, const char* name) const {
    if (field.wire == wire) return Status();
    return Status(ErrorCode::kInvalidArgument, std::string(file_) + ": " + name_ + name +
                                                   " has wire type " + std::to_string(field.wire) +
                                                   ", expected " + std::to_string(wire));
  }

 private:
  Status broken(const char* expected) const {
    const std::string where = name_.empty() ? "it" : name_.substr(0, name_.size() - 1);
    return Status(ErrorCode::kInvalidArgument,
                  std::string(file_) + ": expected a SentencePiece model, but " + where +
                      " breaks at its byte " + std::to_string(rest_.data() - begin_) +
                      ", expected " + expected);
  }

  Result<uint64_t> varint() {
    uint64_t out = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      out |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return out;
    }
    return broken("a whole number");
  }

  Result<std::string_view> take(uint64_t length) {
    if (length > rest_.size()) return broken("as many bytes as it names");
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }

  const char* begin_;
  std::string_view rest_;
  std::string_view file_;
  std::string name_;  // "trainer_spec."
};

Status unsupported(std::string_view file, const std::string& what, const char* expected) {
  return Status(ErrorCode::kUnsupported,
                std::string(file) + ": " + what + ", expected " + expected);
}

std::string kindName(uint64_t modelType) {
  constexpr const char* kNames[] = {"UNIGRAM", "BPE", "WORD", "CHAR"};
  return modelType >= 1 && modelType <= 4 ? kNames[modelType - 1] : std::to_string(modelType);
}

std::string nameOf(size_t piece) {
  return "pieces[" + std::to_string(piece) + "]";
}

Result<Piece> parsePiece(std::string_view bytes, std::string_view file, const std::string& name) {
  Piece out;
  for (Message message(bytes, file, name + "."); !message.done();) {
    SPOLIA_ASSIGN_OR_RETURN(const Field field, message.next());
    if (field.number == 1) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "piece"));
      out.text = field.bytes;
    } else if (field.number == 2) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kFixed32, "score"));
      std::memcpy(&out.score, field.bytes.data(), sizeof out.score);
    } else if (field.number == 3) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kVarint, "type"));
      if (field.value < 1 || field.value > 6) {
        return unsupported(file, name + ".type is " + std::to_string(field.value), "1 to 6");
      }
      out.kind = static_cast<PieceKind>(field.value);
    }
  }
  return out;
}

// What a model does by default is said by an absent field.
Status checkTrainer(std::string_view bytes, std::string_view file) {
  uint64_t type = 1, suffix = 0;
  for (Message message(bytes, file, "trainer_spec."); !message.done();) {
    SPOLIA_ASSIGN_OR_RETURN(const Field field, message.next());
    if (field.number == 3) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kVarint, "model_type"));
      type = field.value;
    } else if (field.number == 24) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kVarint, "treat_whitespace_as_suffix"));
      suffix = field.value;
    }
  }
  if (type != 2) {
    return unsupported(file, "trainer_spec.model_type is " + kindName(type), "BPE");
  }
  if (suffix) {
    return unsupported(file, "trainer_spec.treat_whitespace_as_suffix is true", "false");
  }
  return Status();
}

Result<bool> parseNormalizer(std::string_view bytes, std::string_view file) {
  std::string rule;
  bool mapped = false;
  uint64_t dummy = 1, squeeze = 1, escape = 1;
  for (Message message(bytes, file, "normalizer_spec."); !message.done();) {
    SPOLIA_ASSIGN_OR_RETURN(const Field field, message.next());
    if (field.number == 1) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "name"));
      rule = field.bytes;
    } else if (field.number == 2) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "precompiled_charsmap"));
      mapped = !field.bytes.empty();
    } else if (field.number >= 3 && field.number <= 5) {
      constexpr const char* kNames[] = {"add_dummy_prefix", "remove_extra_whitespaces",
                                        "escape_whitespaces"};
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kVarint, kNames[field.number - 3]));
      (field.number == 3 ? dummy : field.number == 4 ? squeeze : escape) = field.value;
    }
  }
  if (mapped) {
    return unsupported(
        file, "normalizer_spec.precompiled_charsmap is that of " + describeJson(rule), "none");
  }
  if (squeeze) {
    return unsupported(file, "normalizer_spec.remove_extra_whitespaces is true", "false");
  }
  if (!escape) return unsupported(file, "normalizer_spec.escape_whitespaces is false", "true");
  return dummy != 0;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

Status checkPiece(const Piece& piece, std::string_view file, const std::string& name) {
  std::string wrong;
  if (piece.text.empty() || piece.text.size() > kMaxPieceBytes || !isValidUtf8(piece.text)) {
    wrong = ".piece is " + describeJson(piece.text) + ", expected UTF-8 of 1 to " +
            std::to_string(kMaxPieceBytes) + " bytes";
  } else if (!std::isfinite(piece.score)) {
    wrong = ".score is " + std::to_string(piece.score) + ", expected a number";
  } else if (piece.kind == PieceKind::kByte && byteOfFallbackToken(piece.text) < 0) {
    wrong = ".piece is " + describeJson(piece.text) + ", expected a byte such as \"<0x0A>\"";
  }
  if (wrong.empty()) return Status();
  return Status(ErrorCode::kInvalidArgument, std::string(file) + ": " + name + wrong);
}

struct RankedMerge {
  BpePieces::Merge merge;
  float score = 0;
  size_t leftCharacters = 0;
  size_t rightCharacters = 0;
};

// Every way to make the piece of two others, by ids.
void addSplits(const Piece& piece, TokenId id, const BpePieces& model,
               std::vector<RankedMerge>& out) {
  const size_t before = out.size();
  const std::string_view text = piece.text;
  for (size_t at = utf8Length(text); at < text.size(); at += utf8Length(text.substr(at))) {
    const auto left = model.vocabulary.find(std::string(text.substr(0, at)));
    if (left == model.vocabulary.end()) continue;
    const auto right = model.vocabulary.find(std::string(text.substr(at)));
    if (right == model.vocabulary.end()) continue;
    out.push_back({{left->second, right->second, id},
                   piece.score,
                   characters(text.substr(0, at)),
                   characters(text.substr(at))});
  }
  std::sort(out.begin() + static_cast<ptrdiff_t>(before), out.end(),
            [](const RankedMerge& a, const RankedMerge& b) {
              return std::tie(a.merge.left, a.merge.right) < std::tie(b.merge.left, b.merge.right);
            });
}

}  // namespace

Result<SentencePieceModel> parseSentencePiece(std::string_view bytes, std::string_view file) {
  if (bytes.size() > kMaxSentencePieceBytes) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(file) + " has " + std::to_string(bytes.size()) +
                      " bytes, expected at most " + std::to_string(kMaxSentencePieceBytes));
  }
  SentencePieceModel out;
  // Absent ones have their defaults, which are refused.
  std::string_view trainer, normalizer;
  for (Message message(bytes, file, ""); !message.done();) {
    SPOLIA_ASSIGN_OR_RETURN(const Field field, message.next());
    if (field.number == 1) {
      const std::string name = nameOf(out.pieces.size());
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "pieces"));
      if (out.pieces.size() > Bpe::kMaxTokenId) {
        return Status(ErrorCode::kInvalidArgument,
                      std::string(file) + ": pieces has " + name + ", expected at most " +
                          std::to_string(Bpe::kMaxTokenId + 1) + " of them");
      }
      SPOLIA_ASSIGN_OR_RETURN(Piece piece, parsePiece(field.bytes, file, name));
      out.pieces.push_back(std::move(piece));
    } else if (field.number == 2) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "trainer_spec"));
      trainer = field.bytes;
    } else if (field.number == 3) {
      SPOLIA_RETURN_IF_ERROR(message.expect(field, kLength, "normalizer_spec"));
      normalizer = field.bytes;
    }
  }
  SPOLIA_RETURN_IF_ERROR(checkTrainer(trainer, file));
  SPOLIA_ASSIGN_OR_RETURN(out.addsBlankInFront, parseNormalizer(normalizer, file));
  return out;
}

Result<BpePieces> mergesOf(const SentencePieceModel& model, std::string_view file) {
  BpePieces out;
  std::optional<TokenId> unknown;
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    const auto id = static_cast<TokenId>(i);
    SPOLIA_RETURN_IF_ERROR(checkPiece(piece, file, nameOf(i)));
    const bool second = piece.kind == PieceKind::kUnknown && unknown;
    if (second || !out.vocabulary.emplace(piece.text, id).second) {
      return Status(ErrorCode::kInvalidArgument,
                    std::string(file) + ": " + nameOf(i) + ".piece is " + describeJson(piece.text) +
                        ", expected " +
                        (second ? "one piece of type UNKNOWN" : "a piece that is not there yet"));
    }
    if (piece.kind == PieceKind::kUnknown) unknown = id;
  }
  if (!unknown) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(file) + ": pieces has none of type UNKNOWN, expected one");
  }
  out.unknown = *unknown;
  std::vector<RankedMerge> ranked;
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    addSplits(model.pieces[i], static_cast<TokenId>(i), out, ranked);
    if (ranked.size() <= kMaxMerges) continue;
    return Status(ErrorCode::kInvalidArgument, std::string(file) + ": pieces makes more than " +
                                                   std::to_string(kMaxMerges) +
                                                   " merges, expected fewer");
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const RankedMerge& a, const RankedMerge& b) {
    return std::tie(b.score, b.leftCharacters, b.rightCharacters) <
           std::tie(a.score, a.leftCharacters, a.rightCharacters);
  });
  out.merges.reserve(ranked.size());
  for (const RankedMerge& merge : ranked) out.merges.push_back(merge.merge);
  return out;
}

std::vector<AddedToken> addedTokensOf(const SentencePieceModel& model) {
  std::vector<AddedToken> out;
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    const bool userDefined = piece.kind == PieceKind::kUserDefined;
    if (!userDefined && piece.kind != PieceKind::kUnknown && piece.kind != PieceKind::kControl) {
      continue;
    }
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = piece.text;
    token.special = !userDefined;
    out.push_back(std::move(token));
  }
  return out;
}

}  // namespace spolia::engine
