#include "engine/model/tokenizer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/model/added_tokens.h"
#include "engine/model/bpe.h"
#include "engine/model/json_file.h"
#include "engine/model/normalizer.h"
#include "engine/model/pre_tokenizer.h"
#include "engine/model/sentencepiece.h"
#include "engine/model/token_decoder.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using codec::TokenId;
using nlohmann::json;

namespace {

// One token by id.
struct Entry {
  std::string bytes;
  bool known = false;
  bool special = false;
};

}  // namespace

struct Tokenizer::Parts {
  // Looked for in the text as it is, and after normalisation.
  struct Matchers {
    AddedTokenMatcher raw;
    AddedTokenMatcher normalized;
  };

  Status addTokens(const std::vector<AddedToken>& tokens, std::string_view file);
  Status setEntry(TokenId id, std::string_view token, bool special, std::string_view file);
  Status encodePlain(std::string_view text, TextPlace place, std::vector<TokenId>& out) const;
  Status encodeText(std::string_view text, TextPlace place, const Matchers& matchers,
                    std::vector<TokenId>& out) const;

  Normalizer normalizer;
  PreTokenizer pre;
  Bpe bpe;
  TokenDecoder decoder;
  Matchers added;
  AddedTokenMatcher control;  // the special ones, as they are spelled
  Matchers plain;             // the others
  std::unordered_map<std::string, TokenId> addedIds;
  std::vector<Entry> entries;  // by id
};

Status Tokenizer::Parts::addTokens(const std::vector<AddedToken>& tokens, std::string_view file) {
  TokenId last = 0;
  for (const auto& [token, id] : bpe.vocabulary()) last = std::max(last, id);
  for (const AddedToken& token : tokens) last = std::max(last, token.id);
  entries.resize(size_t{last} + 1);
  for (const auto& [token, id] : bpe.vocabulary()) {
    SPOLIA_RETURN_IF_ERROR(setEntry(id, token, false, file));
  }
  std::vector<AddedToken> raw, normalized, special, plainRaw, plainNormalized;
  for (AddedToken token : tokens) {
    const auto inVocabulary = bpe.find(token.content);
    const bool taken = entries[token.id].known && inVocabulary != token.id;
    if (taken || (inVocabulary && *inVocabulary != token.id)) {
      return Status(ErrorCode::kInvalidArgument,
                    std::string(file) + ": added_tokens: " + describeJson(json(token.content)) +
                        " has the id " + std::to_string(token.id) +
                        ", expected the one of model.vocab, or one that no other token has");
    }
    if (!addedIds.emplace(token.content, token.id).second) continue;
    if (token.special) special.push_back(token);
    // A normalised one stands for what is found: with the blank that is put in front, where one is.
    if (token.normalized) {
      SPOLIA_ASSIGN_OR_RETURN(token.content, normalizer.apply(token.content, kMaxTextBytes));
    }
    SPOLIA_RETURN_IF_ERROR(setEntry(token.id, token.content, token.special, file));
    if (token.content.empty()) continue;
    if (!token.special) (token.normalized ? plainNormalized : plainRaw).push_back(token);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  added = {AddedTokenMatcher(std::move(raw)), AddedTokenMatcher(std::move(normalized))};
  control = AddedTokenMatcher(std::move(special));
  plain = {AddedTokenMatcher(std::move(plainRaw)), AddedTokenMatcher(std::move(plainNormalized))};
  return Status();
}

Status Tokenizer::Parts::setEntry(TokenId id, std::string_view token, bool special,
                                  std::string_view file) {
  auto bytes = decoder.bytesOf(token);
  if (!bytes.ok()) {
    return bytes.status().withContext(std::string(file) + ": decoder, for the token " +
                                      describeJson(json(token)));
  }
  entries[id] = {*std::move(bytes), true, special};
  return Status();
}

Status Tokenizer::Parts::encodePlain(std::string_view text, TextPlace place,
                                     std::vector<TokenId>& out) const {
  SPOLIA_ASSIGN_OR_RETURN(const Pieces pieces, pre.cut(text, place));
  for (const std::string_view piece : pieces.views) {
    SPOLIA_RETURN_IF_ERROR(bpe.encode(piece, out));
  }
  return Status();
}

Status Tokenizer::Parts::encodeText(std::string_view text, TextPlace place,
                                    const Matchers& matchers, std::vector<TokenId>& out) const {
  for (const auto& part : matchers.raw.split(text)) {
    if (part.token) {
      out.push_back(*part.token);
      continue;
    }
    std::string made;
    std::string_view normal = part.text;
    if (!normalizer.changesNothing()) {
      SPOLIA_ASSIGN_OR_RETURN(made, normalizer.apply(part.text, kMaxTextBytes));
      normal = made;
    }
    const bool first = place == TextPlace::kBegin && part.text.data() == text.data();
    for (const auto& inner : matchers.normalized.split(normal)) {
      if (inner.token) {
        out.push_back(*inner.token);
        continue;
      }
      const bool begins = first && inner.text.data() == normal.data();
      SPOLIA_RETURN_IF_ERROR(
          encodePlain(inner.text, begins ? TextPlace::kBegin : TextPlace::kWithin, out));
    }
  }
  return Status();
}

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& file) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string bytes, readTextFile(file, kMaxFileBytes));
  return parseFile(bytes, file);
}

Result<Tokenizer> Tokenizer::parseFile(std::string_view bytes, const std::filesystem::path& file) {
  if (file.extension() == ".model") return parseSentencePiece(bytes, file.string());
  return parse(bytes, file.string());
}

Result<Tokenizer> Tokenizer::parseSentencePiece(std::string_view bytes, std::string_view name) {
  SPOLIA_ASSIGN_OR_RETURN(const SentencePieceModel model, engine::parseSentencePiece(bytes, name));
  return make(model, name);
}

Result<Tokenizer> Tokenizer::make(const SentencePieceModel& model, std::string_view name) {
  SPOLIA_ASSIGN_OR_RETURN(BpePieces pieces, mergesOf(model, name));
  auto parts = std::make_unique<Parts>();
  parts->normalizer = Normalizer::escapeBlanks(model.addsBlankInFront);
  parts->decoder = TokenDecoder::sentencePiece(model.addsBlankInFront);
  parts->bpe = Bpe::make(std::move(pieces));
  SPOLIA_RETURN_IF_ERROR(parts->addTokens(addedTokensOf(model), name));
  return Tokenizer(std::move(parts));
}

Result<Tokenizer> Tokenizer::parse(std::string_view text, std::string_view name) {
  SPOLIA_ASSIGN_OR_RETURN(const json document, parseJson(text, name));
  return make(document, name);
}

Result<Tokenizer> Tokenizer::make(const json& document, std::string_view name) {
  if (!document.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(name) + " is " + describeJson(document) + ", expected an object");
  }
  const JsonFields top(document, name);
  const json* model = top.find("model");
  if (!model || !model->is_object()) return top.wrong("model", "an object");
  SPOLIA_RETURN_IF_ERROR(Bpe::checkKind(*model, name));
  auto parts = std::make_unique<Parts>();
  SPOLIA_ASSIGN_OR_RETURN(parts->normalizer, Normalizer::parse(top.find("normalizer"), name));
  SPOLIA_ASSIGN_OR_RETURN(parts->pre, PreTokenizer::parse(top.find("pre_tokenizer"), name));
  const TextUnit unit = parts->pre.byteLevel() ? TextUnit::kBytes : TextUnit::kCharacters;
  SPOLIA_ASSIGN_OR_RETURN(parts->decoder, TokenDecoder::parse(top.find("decoder"), unit, name));
  SPOLIA_ASSIGN_OR_RETURN(parts->bpe, Bpe::parse(*model, unit, name));
  SPOLIA_ASSIGN_OR_RETURN(const auto added, parseAddedTokens(document, name));
  SPOLIA_RETURN_IF_ERROR(parts->addTokens(added, name));
  return Tokenizer(std::move(parts));
}

namespace {

Status checkSize(std::string_view text) {
  if (text.size() <= Tokenizer::kMaxTextBytes) return {};
  return Status(ErrorCode::kInvalidArgument, "a text of " + std::to_string(text.size()) +
                                                 " bytes, expected at most " +
                                                 std::to_string(Tokenizer::kMaxTextBytes));
}

}  // namespace

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text) const {
  SPOLIA_RETURN_IF_ERROR(checkSize(text));
  std::string repaired;
  if (!isValidUtf8(text)) text = repaired = replaceInvalidUtf8(text);
  std::vector<TokenId> out;
  out.reserve(text.size() / 3);
  SPOLIA_RETURN_IF_ERROR(parts_->encodeText(text, TextPlace::kBegin, parts_->added, out));
  return out;
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text,
                                               std::span<const TextRange> content) const {
  if (content.empty()) return encode(text);
  SPOLIA_RETURN_IF_ERROR(checkSize(text));
  if (!isValidUtf8(text)) {
    return Status(ErrorCode::kInvalidArgument, "a text is not well-formed UTF-8");
  }
  const auto outside = [&](size_t begin, size_t end) {
    const auto range = std::ranges::upper_bound(content, begin, {}, &TextRange::end);
    return range == content.end() || range->begin >= end;
  };
  std::vector<TokenId> out;
  for (const auto& part : parts_->control.split(text, outside)) {
    if (part.token) {
      out.push_back(*part.token);
      continue;
    }
    const bool first = part.text.data() == text.data();
    SPOLIA_RETURN_IF_ERROR(parts_->encodeText(
        part.text, first ? TextPlace::kBegin : TextPlace::kWithin, parts_->plain, out));
  }
  return out;
}

Result<std::vector<TokenId>> Tokenizer::encodeContent(std::string_view text) const {
  std::string repaired;
  if (!isValidUtf8(text)) text = repaired = replaceInvalidUtf8(text);
  return encode(text, std::array{TextRange{0, text.size()}});
}

std::string Tokenizer::decode(std::span<const TokenId> ids, SpecialTokens special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    const bool skip = special == SpecialTokens::kSkip && id < parts_->entries.size() &&
                      parts_->entries[id].special;
    if (!skip) bytes += tokenBytes(id);
  }
  if (!isValidUtf8(bytes)) bytes = replaceInvalidUtf8(bytes);
  return std::string(parts_->decoder.trim(bytes));
}

std::string_view Tokenizer::tokenBytes(TokenId id) const {
  if (id >= parts_->entries.size()) return {};
  return parts_->entries[id].bytes;
}

std::string_view Tokenizer::trimFront(std::string_view bytes) const {
  return parts_->decoder.trimFront(bytes);
}

uint32_t Tokenizer::vocabSize() const {
  return static_cast<uint32_t>(parts_->entries.size());
}

std::optional<TokenId> Tokenizer::find(std::string_view token) const {
  const auto added = parts_->addedIds.find(std::string(token));
  if (added != parts_->addedIds.end()) return added->second;
  return parts_->bpe.find(token);
}

}  // namespace spolia::engine
