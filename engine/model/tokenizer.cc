#include "engine/model/tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/model/added_tokens.h"
#include "engine/model/bpe.h"
#include "engine/model/byte_level.h"
#include "engine/model/json_file.h"
#include "engine/model/pre_tokenizer.h"

namespace spolia::engine {

using codec::TokenId;
using nlohmann::json;

namespace {

constexpr size_t kMaxFileBytes = 256 << 20;

enum class Normalizer : uint8_t { kNone, kNfc };

// One token by id.
struct Entry {
  std::string bytes;
  bool known = false;
  bool special = false;
};

Result<Normalizer> parseNormalizer(const json& value, std::string_view file) {
  const JsonFields fields(value, file, "normalizer.");
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  if (type == "NFC") return Normalizer::kNfc;
  if (type != "Sequence") {
    return fields.wrong("type", "null, NFC, or a Sequence of NFC", ErrorCode::kUnsupported);
  }
  const json* list = fields.find("normalizers");
  if (!list || !list->is_array()) return fields.wrong("normalizers", "a list");
  Normalizer out = Normalizer::kNone;
  for (const json& step : *list) {
    if (!step.is_object() || step.value("type", json()) != "NFC") {
      return fields.wrong("normalizers", "NFC or nothing in the list", ErrorCode::kUnsupported);
    }
    out = Normalizer::kNfc;
  }
  return out;
}

// A decoder other than ByteLevel would change what ids mean; none is taken for ByteLevel, as the
// vocabulary is of that kind.
Status checkDecoder(const JsonFields& top, std::string_view file) {
  const json* decoder = top.find("decoder");
  if (!decoder) return Status();
  if (!decoder->is_object()) return top.wrong("decoder", "null or an object");
  const JsonFields fields(*decoder, file, "decoder.");
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
  if (type != "ByteLevel") return fields.wrong("type", "ByteLevel", ErrorCode::kUnsupported);
  return Status();
}

std::string toNfc(const std::string& text) {
  utf8proc_uint8_t* made = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &made,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0) return text;
  std::string out(reinterpret_cast<const char*>(made), static_cast<size_t>(length));
  std::free(made);
  return out;
}

std::string normalize(Normalizer normalizer, std::string_view text) {
  return normalizer == Normalizer::kNfc ? toNfc(std::string(text)) : std::string(text);
}

}  // namespace

struct Tokenizer::Parts {
  explicit Parts(Bpe model, PreTokenizer cutter) : bpe(std::move(model)), pre(std::move(cutter)) {}

  Status addTokens(const std::vector<AddedToken>& tokens, std::string_view file);
  Status encodePlain(std::string_view text, std::vector<TokenId>& out) const;
  Status encodeText(std::string_view text, std::vector<TokenId>& out) const;

  Bpe bpe;
  PreTokenizer pre;
  Normalizer normalizer = Normalizer::kNone;
  AddedTokenMatcher rawTokens;         // looked for in the text as it is
  AddedTokenMatcher normalizedTokens;  // looked for after normalisation
  std::unordered_map<std::string, TokenId> addedIds;
  std::vector<Entry> entries;  // by id
};

Status Tokenizer::Parts::addTokens(const std::vector<AddedToken>& tokens, std::string_view file) {
  TokenId last = 0;
  for (const auto& [token, id] : bpe.vocabulary()) last = std::max(last, id);
  for (const AddedToken& token : tokens) last = std::max(last, token.id);
  entries.resize(size_t{last} + 1);
  for (const auto& [token, id] : bpe.vocabulary()) {
    entries[id] = {bytesOfSymbols(token), true, false};
  }
  std::vector<AddedToken> raw, normalized;
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
    entries[token.id] = {bytesOfSymbols(token.content), true, token.special};
    if (token.normalized) {
      token.content = normalize(normalizer, token.content);
      normalized.push_back(std::move(token));
    } else {
      raw.push_back(std::move(token));
    }
  }
  rawTokens = AddedTokenMatcher(std::move(raw));
  normalizedTokens = AddedTokenMatcher(std::move(normalized));
  return Status();
}

Status Tokenizer::Parts::encodePlain(std::string_view text, std::vector<TokenId>& out) const {
  SPOLIA_ASSIGN_OR_RETURN(const Pieces pieces, pre.cut(text));
  for (const std::string_view piece : pieces.views) bpe.encode(piece, out);
  return Status();
}

Status Tokenizer::Parts::encodeText(std::string_view text, std::vector<TokenId>& out) const {
  for (const auto& part : rawTokens.split(text)) {
    if (part.token) {
      out.push_back(*part.token);
      continue;
    }
    std::string made;
    std::string_view normal = part.text;
    if (normalizer != Normalizer::kNone) normal = made = normalize(normalizer, part.text);
    for (const auto& inner : normalizedTokens.split(normal)) {
      if (inner.token) {
        out.push_back(*inner.token);
      } else {
        SPOLIA_RETURN_IF_ERROR(encodePlain(inner.text, out));
      }
    }
  }
  return Status();
}

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& tokenizerJson) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readTextFile(tokenizerJson, kMaxFileBytes));
  return parse(text, tokenizerJson.string());
}

Result<Tokenizer> Tokenizer::parse(std::string_view text, std::string_view name) {
  SPOLIA_ASSIGN_OR_RETURN(const json document, parseJson(text, name));
  if (!document.is_object()) {
    return Status(ErrorCode::kInvalidArgument,
                  std::string(name) + " is " + describeJson(document) + ", expected an object");
  }
  const JsonFields top(document, name);
  for (const char* field : {"model", "pre_tokenizer"}) {
    const json* part = top.find(field);
    if (!part || !part->is_object()) return top.wrong(field, "an object");
  }
  SPOLIA_ASSIGN_OR_RETURN(PreTokenizer pre, PreTokenizer::parse(*top.find("pre_tokenizer"), name));
  SPOLIA_ASSIGN_OR_RETURN(Bpe bpe, Bpe::parse(*top.find("model"), name));
  SPOLIA_RETURN_IF_ERROR(checkDecoder(top, name));
  auto parts = std::make_unique<Parts>(std::move(bpe), std::move(pre));
  if (const json* normalizer = top.find("normalizer")) {
    if (!normalizer->is_object()) return top.wrong("normalizer", "null or an object");
    SPOLIA_ASSIGN_OR_RETURN(parts->normalizer, parseNormalizer(*normalizer, name));
  }
  SPOLIA_ASSIGN_OR_RETURN(const auto added, parseAddedTokens(document, name));
  SPOLIA_RETURN_IF_ERROR(parts->addTokens(added, name));
  return Tokenizer(std::move(parts));
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    return Status(ErrorCode::kInvalidArgument, "a text of " + std::to_string(text.size()) +
                                                   " bytes, expected at most " +
                                                   std::to_string(kMaxTextBytes));
  }
  std::string repaired;
  if (!isValidUtf8(text)) text = repaired = replaceInvalidUtf8(text);
  std::vector<TokenId> out;
  out.reserve(text.size() / 3);
  SPOLIA_RETURN_IF_ERROR(parts_->encodeText(text, out));
  return out;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, SpecialTokens special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    const bool skip = special == SpecialTokens::kSkip && id < parts_->entries.size() &&
                      parts_->entries[id].special;
    if (!skip) bytes += tokenBytes(id);
  }
  return isValidUtf8(bytes) ? bytes : replaceInvalidUtf8(bytes);
}

std::string_view Tokenizer::tokenBytes(TokenId id) const {
  if (id >= parts_->entries.size()) return {};
  return parts_->entries[id].bytes;
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
