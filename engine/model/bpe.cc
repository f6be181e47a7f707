#include "engine/model/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>

#include "engine/model/byte_level.h"
#include "engine/model/json_file.h"

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

// What of the reference's BPE byte-level files never use.
Status checkUnsupported(const JsonFields& fields) {
  SPOLIA_ASSIGN_OR_RETURN(const double dropout, fields.number("dropout", 0, 1, 0));
  if (dropout != 0) return fields.wrong("dropout", "null", ErrorCode::kUnsupported);
  SPOLIA_ASSIGN_OR_RETURN(const bool fallback, fields.boolean("byte_fallback", false));
  if (fallback) {
    return fields.wrong("byte_fallback", "false: byte-level BPE", ErrorCode::kUnsupported);
  }
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string mark, fields.string(field, ""));
    if (!mark.empty()) return fields.wrong(field, "null or \"\"", ErrorCode::kUnsupported);
  }
  return Status();
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
  byteIds_.resize(256);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    std::string symbol;
    appendUtf8(symbol, byteSymbol(static_cast<uint8_t>(byte)));
    byteIds_[byte] = find(symbol);
  }
  return Status();
}

Status Bpe::parseMerges(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  const json* list = fields.find("merges");
  if (!list || !list->is_array() || list->size() > kMaxTokenId) {
    return fields.wrong("merges", "a list of merges");
  }
  merges_.resize(std::bit_ceil(std::max<size_t>(list->size() * 2, 16)));
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

Result<Bpe> Bpe::parse(const json& model, std::string_view file) {
  const JsonFields fields(model, file, "model.");
  // Files of early versions have no type; what has merges is BPE.
  SPOLIA_ASSIGN_OR_RETURN(const std::string type, fields.string("type", "BPE"));
  if (type != "BPE") return fields.wrong("type", "\"BPE\"", ErrorCode::kUnsupported);
  SPOLIA_RETURN_IF_ERROR(checkUnsupported(fields));
  Bpe out;
  SPOLIA_RETURN_IF_ERROR(out.parseVocabulary(model, file));
  SPOLIA_RETURN_IF_ERROR(out.parseMerges(model, file));
  SPOLIA_ASSIGN_OR_RETURN(out.fuseUnknown_, fields.boolean("fuse_unk", false));
  SPOLIA_ASSIGN_OR_RETURN(out.ignoreMerges_, fields.boolean("ignore_merges", false));
  if (fields.find("unk_token")) {
    SPOLIA_ASSIGN_OR_RETURN(const std::string unknown, fields.string("unk_token"));
    out.unknown_ = out.find(unknown);
    if (!out.unknown_) return fields.wrong("unk_token", "null or a token of model.vocab");
  }
  if (out.ignoreMerges_) {
    for (const auto& [token, id] : out.vocabulary_) {
      if (auto bytes = bytesIfSymbols(token)) out.wholePieces_.emplace(*std::move(bytes), id);
    }
  }
  return out;
}

std::optional<TokenId> Bpe::find(std::string_view token) const {
  const auto it = vocabulary_.find(std::string(token));
  if (it == vocabulary_.end()) return std::nullopt;
  return it->second;
}

void Bpe::firstIds(std::string_view piece, std::vector<TokenId>& ids) const {
  bool unknownBefore = false;
  for (const char c : piece) {
    const auto id = byteIds_[static_cast<uint8_t>(c)];
    if (id) ids.push_back(*id);
    if (!id && unknown_ && !(fuseUnknown_ && unknownBefore)) ids.push_back(*unknown_);
    unknownBefore = !id;
  }
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

void Bpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (ignoreMerges_) {
    const auto whole = wholePieces_.find(std::string(piece));
    if (whole != wholePieces_.end()) {
      out.push_back(whole->second);
      return;
    }
  }
  std::vector<TokenId> ids;
  ids.reserve(piece.size());
  firstIds(piece, ids);
  if (ids.size() > kShortPiece) {
    mergeLong(ids);
  } else {
    mergeShort(ids);
  }
  out.insert(out.end(), ids.begin(), ids.end());
}

}  // namespace spolia::engine
