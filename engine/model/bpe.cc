#include "engine/model/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>

#include "engine/model/json_file.h"
#include "engine/text/byte_level.h"

namespace spolia::engine {

using codec::TokenId;
using nlohmann::json;

namespace {

// Up to here looking for the best merge again and again beats keeping a heap (2 x 32 x 32 / 2
// probes against 32 x log 32 heap steps with their bookkeeping).
constexpr size_t kShortPiece = 32;

constexpr uint64_t pairOf(TokenId left, TokenId right) {
  return uint64_t{left} << 32 | right;
}

constexpr uint64_t mix(uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15ull;
  return pair ^ pair >> 32;
}

size_t slotsFor(size_t count) {
  return std::bit_ceil(std::max<size_t>(count * 2, 16));
}

std::string fallbackToken(uint8_t byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
}

std::string symbolToken(uint8_t byte) {
  std::string out;
  appendUtf8(out, byteSymbol(byte));
  return out;
}

uint32_t firstCharacter(std::string_view text) {
  uint32_t c = 0;
  utf8Length(text, &c);
  return c;
}

uint32_t lastCodePoint(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return firstCharacter(text.substr(begin));
}

}  // namespace

Status Bpe::parseVocabulary(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  const json* vocab = fields.find("vocab");
  if (!vocab || !vocab->is_object() || vocab->empty()) {
    return fields.wrong("vocab", "an object of tokens and their ids");
  }
  vocabulary_.reserve(vocab->size());
  std::vector<bool> seen(kMaxTokenId + 1);
  for (const auto& [token, id] : vocab->items()) {
    const bool fits =
        id.is_number_unsigned() && id.get<uint64_t>() <= kMaxTokenId && !seen[id.get<uint64_t>()];
    if (!fits) {
      return Status(ErrorCode::kInvalidArgument,
                    std::string(file) + ": model.vocab[" + describeJson(json(token)) + "] is " +
                        describeJson(id) + ", expected an id that no other token has, at most " +
                        std::to_string(kMaxTokenId));
    }
    seen[id.get<uint64_t>()] = true;
    vocabulary_.emplace(token, id.get<TokenId>());
  }
  indexVocabulary();
  return Status();
}

Status Bpe::parseMerges(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  const json* list = fields.find("merges");
  if (!list || !list->is_array() || list->size() > kMaxTokenId) {
    return fields.wrong("merges", "a list of merges");
  }
  reserveMerges(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const json& merge = (*list)[i];
    std::string left, right;
    if (merge.is_string()) {
      const std::string& text = merge.get_ref<const std::string&>();
      const size_t blank = text.find(' ');
      left = text.substr(0, blank);
      if (blank != std::string::npos) right = text.substr(blank + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    }
    const Status added = addMerge(left, right, static_cast<uint32_t>(i));
    if (added.ok()) continue;
    return Status(added.code(), std::string(file) + ": model.merges[" + std::to_string(i) +
                                    "] is " + describeJson(merge) + ", expected " +
                                    added.message());
  }
  return Status();
}

Status Bpe::addMerge(std::string_view left, std::string_view right, uint32_t rank) {
  if (left.empty() || right.empty()) {
    return Status(ErrorCode::kInvalidArgument, "two tokens: \"a b\" or [\"a\", \"b\"]");
  }
  const std::string whole = std::string(left) + std::string(right);
  const auto leftId = find(left), rightId = find(right), merged = find(whole);
  if (!leftId || !rightId || !merged) {
    return Status(ErrorCode::kInvalidArgument, "both tokens and what they merge to in model.vocab");
  }
  insertMerge({pairOf(*leftId, *rightId), rank, *merged});
  return Status();
}

void Bpe::reserveMerges(size_t count) {
  merges_.resize(slotsFor(count));
}

// The later of two equal merges wins, as in the reference.
void Bpe::insertMerge(const Merge& merge) {
  const size_t mask = merges_.size() - 1;
  size_t slot = mix(merge.pair) & mask;
  while (merges_[slot].pair != kNoPair && merges_[slot].pair != merge.pair) {
    slot = (slot + 1) & mask;
  }
  merges_[slot] = merge;
}

const Bpe::Merge* Bpe::findMerge(TokenId left, TokenId right) const {
  const uint64_t pair = pairOf(left, right);
  const size_t mask = merges_.size() - 1;
  size_t slot = mix(pair) & mask;
  while (merges_[slot].pair != pair) {
    if (merges_[slot].pair == kNoPair) return nullptr;
    slot = (slot + 1) & mask;
  }
  return &merges_[slot];
}

Status Bpe::checkKind(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  // Files of early versions have no type; what has merges is BPE.
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type", "BPE"));
  if (type != "BPE") return fields.wrong("type", "\"BPE\"", ErrorCode::kUnsupported);
  return Status();
}

Status Bpe::parseFlags(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  SPOLIA_ASSIGN_OR_RETURN(const double dropout, fields.number("dropout", 0, 1, 0));
  if (dropout != 0) return fields.wrong("dropout", "null", ErrorCode::kUnsupported);
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string mark, fields.string(field, ""));
    if (!mark.empty()) return fields.wrong(field, "null or \"\"", ErrorCode::kUnsupported);
  }
  SPOLIA_ASSIGN_OR_RETURN(byteFallback_, fields.boolean("byte_fallback", false));
  if (byteFallback_ && unit_ == TextUnit::kBytes) {
    return fields.wrong("byte_fallback", "false: byte-level BPE", ErrorCode::kUnsupported);
  }
  SPOLIA_ASSIGN_OR_RETURN(fuseUnknown_, fields.boolean("fuse_unk", false));
  SPOLIA_ASSIGN_OR_RETURN(ignoreMerges_, fields.boolean("ignore_merges", false));
  return Status();
}

Result<Bpe> Bpe::parse(const json& model, TextUnit unit, std::string_view file) {
  SPOLIA_RETURN_IF_ERROR(checkKind(model, file));
  Bpe out;
  out.unit_ = unit;
  SPOLIA_RETURN_IF_ERROR(out.parseFlags(model, file));
  SPOLIA_RETURN_IF_ERROR(out.parseVocabulary(model, file));
  SPOLIA_RETURN_IF_ERROR(out.parseMerges(model, file));
  const JsonFields fields(model, file, "model.");
  if (fields.find("unk_token")) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string unknown, fields.string("unk_token"));
    out.unknown_ = out.find(unknown);
    if (!out.unknown_) return fields.wrong("unk_token", "null or a token of model.vocab");
  }
  out.indexJoints();
  return out;
}

Bpe Bpe::make(BpePieces pieces) {
  Bpe out;
  out.unit_ = TextUnit::kCharacters;
  out.byteFallback_ = true;
  out.fuseUnknown_ = true;
  out.unknown_ = pieces.unknown;
  out.vocabulary_ = std::move(pieces.vocabulary);
  out.indexVocabulary();
  out.reserveMerges(pieces.merges.size());
  uint32_t rank = 0;
  for (const BpePieces::Merge& merge : pieces.merges) {
    out.insertMerge({pairOf(merge.left, merge.right), rank++, merge.merged});
  }
  out.indexJoints();
  return out;
}

void Bpe::indexVocabulary() {
  byteIds_.resize(256);
  for (uint32_t i = 0; i < 256; ++i) {
    const auto byte = static_cast<uint8_t>(i);
    const bool symbol = unit_ == TextUnit::kBytes;
    byteIds_[i] = find(symbol ? symbolToken(byte) : fallbackToken(byte)).value_or(kNoToken);
  }
  for (const auto& [token, id] : vocabulary_) {
    uint32_t c = 0;
    if (token.empty() || utf8Length(token, &c) != token.size()) continue;
    if (c >= characterIds_.size()) characterIds_.resize(c + 1, kNoToken);
    characterIds_[c] = id;
  }
  if (!ignoreMerges_) return;
  for (const auto& [token, id] : vocabulary_) {
    auto text = unit_ == TextUnit::kBytes ? bytesIfSymbols(token) : token;
    if (text) wholePieces_.emplace(*std::move(text), id);
  }
}

TokenId Bpe::characterId(uint32_t codePoint) const {
  return codePoint < characterIds_.size() ? characterIds_[codePoint] : kNoToken;
}

std::optional<TokenId> Bpe::find(std::string_view token) const {
  const auto it = vocabulary_.find(std::string(token));
  if (it == vocabulary_.end()) return std::nullopt;
  return it->second;
}

// Every pair within a token is the joint of one of the merges that made it. A token can stand at a
// joint as its last (first) character, or as itself where it is none but a first id all the same.
void Bpe::indexJoints() {
  std::vector<std::string_view> spelled;
  for (const auto& [token, id] : vocabulary_) {
    if (id >= spelled.size()) spelled.resize(size_t{id} + 1);
    spelled[id] = token;
  }
  std::vector<bool> alone(spelled.size());
  for (const TokenId id : byteIds_) {
    if (id != kNoToken) alone[id] = true;
  }
  if (unknown_) alone[*unknown_] = true;
  std::vector<uint64_t> pairs;
  for (const Merge& merge : merges_) {
    if (merge.pair == kNoPair) continue;
    const auto left = static_cast<TokenId>(merge.pair >> 32);
    const auto right = static_cast<TokenId>(merge.pair);
    const TokenId ends[] = {characterId(lastCodePoint(spelled[left])),
                            alone[left] ? left : kNoToken};
    const TokenId begins[] = {characterId(firstCharacter(spelled[right])),
                              alone[right] ? right : kNoToken};
    for (const TokenId end : ends) {
      for (const TokenId begin : begins) {
        if (end != kNoToken && begin != kNoToken) pairs.push_back(pairOf(end, begin));
      }
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  joints_.assign(slotsFor(pairs.size()), kNoPair);
  for (const uint64_t pair : pairs) {
    size_t slot = mix(pair) & (joints_.size() - 1);
    while (joints_[slot] != kNoPair) slot = (slot + 1) & (joints_.size() - 1);
    joints_[slot] = pair;
  }
}

bool Bpe::mayJoin(TokenId left, TokenId right) const {
  const uint64_t pair = pairOf(left, right);
  const size_t mask = joints_.size() - 1;
  size_t slot = mix(pair) & mask;
  while (joints_[slot] != pair) {
    if (joints_[slot] == kNoPair) return false;
    slot = (slot + 1) & mask;
  }
  return true;
}

template <typename Sink>
void Bpe::firstIdsOfBytes(std::string_view piece, Sink&& sink) const {
  bool unknownBefore = false;
  for (const char c : piece) {
    const TokenId id = byteIds_[static_cast<uint8_t>(c)];
    if (id != kNoToken) {
      sink(id);
    } else if (unknown_ && !(fuseUnknown_ && unknownBefore)) {
      sink(*unknown_);
    }
    unknownBefore = id == kNoToken;
  }
}

// An unknown token is held back until the next known character, over bytes too: so does the
// reference.
template <typename Sink>
void Bpe::firstIdsOfCharacters(std::string_view piece, Sink&& sink) const {
  bool held = false;
  while (!piece.empty()) {
    uint32_t c = 0;
    const std::string_view bytes = piece.substr(0, std::max<size_t>(utf8Length(piece, &c), 1));
    piece.remove_prefix(bytes.size());
    const TokenId id = characterId(c);
    if (id != kNoToken) {
      if (held) sink(*unknown_);
      held = false;
      sink(id);
      continue;
    }
    const auto known = [&](char b) { return byteIds_[static_cast<uint8_t>(b)] != kNoToken; };
    if (byteFallback_ && std::all_of(bytes.begin(), bytes.end(), known)) {
      for (const char b : bytes) sink(byteIds_[static_cast<uint8_t>(b)]);
    } else if (unknown_) {
      if (held && !fuseUnknown_) sink(*unknown_);
      held = true;
    }
  }
  if (held) sink(*unknown_);
}

void Bpe::mergeShort(std::vector<TokenId>& ids) const {
  while (ids.size() > 1) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge* merge = findMerge(ids[i], ids[i + 1]);
      if (merge && (!best || merge->rank < best->rank)) {
        best = merge;
        at = i;
      }
    }
    if (!best) return;
    ids[at] = best->merged;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

// A heap of candidate merges by (rank, place); those whose symbols changed meanwhile are dropped
// when they come up.
void Bpe::mergeLong(std::vector<TokenId>& ids) const {
  struct Candidate {
    uint32_t rank;
    int place;
    uint64_t pair;
    TokenId merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : place > other.place;
    }
  };
  const int count = static_cast<int>(ids.size());
  std::vector<Symbol> symbols(ids.size());
  for (int i = 0; i < count; ++i) symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  auto offer = [&](int place) {
    if (place < 0 || symbols[place].next < 0) return;
    const Merge* merge = findMerge(symbols[place].id, symbols[symbols[place].next].id);
    if (merge) heap.push({merge->rank, place, merge->pair, merge->merged});
  };
  for (int i = 0; i < count; ++i) offer(i);
  constexpr TokenId kGone = std::numeric_limits<TokenId>::max();
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    Symbol& left = symbols[best.place];
    if (left.id == kGone || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    if (pairOf(left.id, right.id) != best.pair) continue;
    left.id = best.merged;
    right.id = kGone;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.place;
    offer(left.previous);
    offer(best.place);
  }
  ids.clear();
  for (int i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

void Bpe::mergeStretch(std::vector<TokenId>& ids, std::vector<TokenId>& out) const {
  if (ids.size() > kShortPiece) {
    mergeLong(ids);
  } else {
    mergeShort(ids);
  }
  out.insert(out.end(), ids.begin(), ids.end());
  ids.clear();
}

Status Bpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (ignoreMerges_) {
    const auto whole = wholePieces_.find(std::string(piece));
    if (whole != wholePieces_.end()) {
      out.push_back(whole->second);
      return Status();
    }
  }
  std::vector<TokenId> stretch;
  stretch.reserve(std::min(piece.size(), kShortPiece));
  const bool cuts = piece.size() > kShortPiece;
  bool tooLong = false;
  const auto add = [&](TokenId id) {
    if (cuts && !stretch.empty() && !mayJoin(stretch.back(), id)) mergeStretch(stretch, out);
    tooLong |= stretch.size() >= kMaxStretch;
    if (!tooLong) stretch.push_back(id);
  };
  if (unit_ == TextUnit::kBytes) {
    firstIdsOfBytes(piece, add);
  } else {
    firstIdsOfCharacters(piece, add);
  }
  if (tooLong) {
    return Status(ErrorCode::kResourceExhausted,
                  "a text in which the tokenizer might merge more than " +
                      std::to_string(kMaxStretch) + " characters in a row");
  }
  mergeStretch(stretch, out);
  return Status();
}

}  // namespace spolia::engine
