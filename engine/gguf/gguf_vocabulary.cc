#include "engine/gguf/gguf_vocabulary.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "engine/gguf/split_rules.h"
#include "engine/model/bpe.h"
#include "engine/model/json_file.h"
#include "engine/model/sentencepiece.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTokenTypes = "tokenizer.ggml.token_type";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kBlank = "tokenizer.ggml.add_space_prefix";
constexpr const char* kSqueeze = "tokenizer.ggml.remove_extra_whitespaces";
constexpr const char* kCharacterMap = "tokenizer.ggml.precompiled_charsmap";

constexpr uint64_t kMaxTokens = uint64_t{Bpe::kMaxTokenId} + 1;
constexpr uint64_t kMaxMerges = Bpe::kMaxTokenId;

std::string element(const char* key, size_t index) {
  return std::string(key) + "[" + std::to_string(index) + "]";
}

Status wrongElement(const GgufFields& fields, const char* key, size_t index, std::string_view found,
                    const std::string& expected) {
  return Status(ErrorCode::kInvalidArgument,
                std::string(fields.file()) + ": " + element(key, index) + " is " +
                    describeJson(json(std::string(found))) + ", expected " + expected);
}

// Tokens with the kind of each.
struct Vocabulary {
  std::vector<std::string_view> tokens;
  std::vector<PieceKind> kinds;
};

Result<Vocabulary> readVocabulary(const GgufFields& fields) {
  Vocabulary out;
  SPOLIA_ASSIGN_OR_RETURN(out.tokens, fields.strings(kTokens, kMaxTokens));
  SPOLIA_ASSIGN_OR_RETURN(const auto types, fields.integers(kTokenTypes, kMaxTokens));
  if (out.tokens.empty()) return fields.wrong(kTokens, "at least one token");
  if (types.size() != out.tokens.size()) {
    return fields.wrong(kTokenTypes, "as many as " + std::string(kTokens) + ", " +
                                         std::to_string(out.tokens.size()));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6) {
      return wrongElement(fields, kTokenTypes, i, std::to_string(types[i]), "1 to 6");
    }
    out.kinds.push_back(static_cast<PieceKind>(types[i]));
  }
  return out;
}

Result<Tokenizer> readPieces(const GgufFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const bool squeezes, fields.boolean(kSqueeze, false));
  if (squeezes) return fields.wrong(kSqueeze, "false", ErrorCode::kUnsupported);
  const GgufValue* mapped = fields.find(kCharacterMap);
  if (mapped && mapped->count > 0) {
    return fields.wrong(kCharacterMap, "none", ErrorCode::kUnsupported);
  }
  SPOLIA_ASSIGN_OR_RETURN(const Vocabulary vocabulary, readVocabulary(fields));
  SPOLIA_ASSIGN_OR_RETURN(const auto scores, fields.floats(kScores, kMaxTokens));
  if (scores.size() != vocabulary.tokens.size()) {
    return fields.wrong(kScores, "as many as " + std::string(kTokens) + ", " +
                                     std::to_string(vocabulary.tokens.size()));
  }
  SentencePieceModel model;
  SPOLIA_ASSIGN_OR_RETURN(model.addsBlankInFront, fields.boolean(kBlank, true));
  for (size_t i = 0; i < scores.size(); ++i) {
    model.pieces.push_back({std::string(vocabulary.tokens[i]), scores[i], vocabulary.kinds[i]});
  }
  return Tokenizer::make(model, std::string(fields.file()) + ": " + kTokens);
}

// The tokens as the "vocab" and "added_tokens" of a tokenizer.json. Unused ones are in neither.
struct Spellings {
  json vocabulary = json::object();
  json added = json::array();
  std::unordered_set<std::string_view> normal;
};

Result<Spellings> spell(const Vocabulary& vocabulary, const GgufFields& fields) {
  Spellings out;
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string_view token = vocabulary.tokens[i];
    const PieceKind kind = vocabulary.kinds[i];
    if (kind == PieceKind::kUnused) continue;
    if (!isValidUtf8(token)) return wrongElement(fields, kTokens, i, token, "UTF-8");
    if (!seen.insert(token).second) {
      return wrongElement(fields, kTokens, i, token, "a token that is not there yet");
    }
    if (kind == PieceKind::kNormal || kind == PieceKind::kByte) {
      out.vocabulary[std::string(token)] = i;
      out.normal.insert(token);
    } else {
      out.added.push_back({{"id", i},
                           {"content", token},
                           {"special", kind != PieceKind::kUserDefined},
                           {"normalized", false},
                           {"single_word", false},
                           {"lstrip", false},
                           {"rstrip", false}});
    }
  }
  return out;
}

// "a b" where a, b and ab are tokens.
Result<json> readMerges(const GgufFields& fields,
                        const std::unordered_set<std::string_view>& tokens) {
  SPOLIA_ASSIGN_OR_RETURN(const auto merges, fields.strings(kMerges, kMaxMerges));
  json out = json::array();
  std::string joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges[i];
    const size_t blank = merge.find(' ');
    const bool pair = blank != std::string_view::npos && blank > 0 && blank + 1 < merge.size() &&
                      merge.find(' ', blank + 1) == std::string_view::npos && isValidUtf8(merge);
    if (!pair) return wrongElement(fields, kMerges, i, merge, "two tokens with a blank between");
    const std::string_view left = merge.substr(0, blank), right = merge.substr(blank + 1);
    joined.assign(left).append(right);
    if (!tokens.contains(left) || !tokens.contains(right) || !tokens.contains(joined)) continue;
    out.push_back(json::array({left, right}));
  }
  return out;
}

Result<Tokenizer> readByteLevel(const GgufFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string pre, fields.string(kPre));
  const SplitRule* rule = splitRuleOf(pre);
  if (!rule) return fields.wrong(kPre, "one of " + splitRuleNames(), ErrorCode::kUnsupported);
  SPOLIA_ASSIGN_OR_RETURN(const bool blank, fields.boolean(kBlank, false));
  SPOLIA_ASSIGN_OR_RETURN(const Vocabulary vocabulary, readVocabulary(fields));
  SPOLIA_ASSIGN_OR_RETURN(Spellings spellings, spell(vocabulary, fields));
  SPOLIA_ASSIGN_OR_RETURN(json merges, readMerges(fields, spellings.normal));
  json document;
  document["model"] = {{"type", "BPE"},
                       {"vocab", std::move(spellings.vocabulary)},
                       {"merges", std::move(merges)},
                       {"ignore_merges", rule->ignoreMerges}};
  document["added_tokens"] = std::move(spellings.added);
  if (rule->nfc) document["normalizer"] = {{"type", "NFC"}};
  document["pre_tokenizer"] = preTokenizerOf(*rule, blank ? BlankInFront::kYes : BlankInFront::kNo);
  document["decoder"] = {{"type", "ByteLevel"}};
  return Tokenizer::make(document, fields.file());
}

}  // namespace

Result<Tokenizer> readGgufTokenizer(const GgufFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string model, fields.string(kModel));
  if (model == "llama") return readPieces(fields);
  if (model == "gpt2") return readByteLevel(fields);
  return fields.wrong(kModel, "\"llama\" or \"gpt2\"", ErrorCode::kUnsupported);
}

Sha256Digest ggufTokenizerDigest(const GgufFields& fields) {
  Sha256 out;
  out.update("spolia gguf tokenizer 1");
  for (const char* key :
       {kModel, kPre, kTokens, kTokenTypes, kScores, kMerges, kBlank, kSqueeze, kCharacterMap}) {
    const GgufValue* value = fields.find(key);
    if (!value) continue;
    ByteWriter head;
    head.u32(static_cast<uint32_t>(std::string_view(key).size()));
    head.bytes(asBytes(key));
    head.u32(static_cast<uint32_t>(value->type));
    head.u64(value->count);
    head.u64(value->bytes.size());
    out.update(head.view()).update(value->bytes);
  }
  return {out.finish()};
}

}  // namespace spolia::engine
