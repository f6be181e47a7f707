#include "engine/model/added_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/model/bpe.h"
#include "engine/model/json_file.h"
#include "engine/text/byte_level.h"
#include "engine/text/pattern.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr size_t kMaxAddedTokens = 100'000;

// Unicode's White_Space.
bool isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// The last character; `text` is well-formed and not empty.
std::string_view lastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

bool isWord(std::string_view character) {
  static const Result<Pattern> word = Pattern::compile(R"(\w)");
  const auto found = word->findAll(character);
  return found.ok() && !found->empty();
}

bool standsAlone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && isWord(lastCharacter(text.substr(0, begin)))) return false;
  const std::string_view after = text.substr(end);
  return after.empty() || !isWord(after.substr(0, utf8Length(after)));
}

size_t stripLeft(std::string_view text, size_t begin) {
  while (begin > 0) {
    const std::string_view last = lastCharacter(text.substr(0, begin));
    uint32_t c = 0;
    utf8Length(last, &c);
    if (!isSpace(c)) break;
    begin -= last.size();
  }
  return begin;
}

size_t stripRight(std::string_view text, size_t end) {
  uint32_t c = 0;
  while (const size_t length = utf8Length(text.substr(end), &c)) {
    if (!isSpace(c)) break;
    end += length;
  }
  return end;
}

}  // namespace

Result<std::vector<AddedToken>> parseAddedTokens(const json& document, std::string_view file) {
  const JsonFields top(document, file);
  const json* list = top.find("added_tokens");
  std::vector<AddedToken> out;
  if (!list) return out;
  if (!list->is_array() || list->size() > kMaxAddedTokens) {
    return top.wrong("added_tokens", "a list of tokens");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string field = "added_tokens[" + std::to_string(i) + "]";
    if (!(*list)[i].is_object()) {
      return Status(ErrorCode::kInvalidArgument, std::string(file) + ": " + field + " is " +
                                                     describeJson((*list)[i]) +
                                                     ", expected an object");
    }
    const JsonFields fields((*list)[i], file, field + ".");
    AddedToken token;
    SPOLIA_ASSIGN_OR_RETURN(token.id, fields.integer("id", 0, Bpe::kMaxTokenId));
    SPOLIA_ASSIGN_OR_RETURN(token.content, fields.string("content"));
    SPOLIA_ASSIGN_OR_RETURN(token.singleWord, fields.boolean("single_word", false));
    SPOLIA_ASSIGN_OR_RETURN(token.leftStrip, fields.boolean("lstrip", false));
    SPOLIA_ASSIGN_OR_RETURN(token.rightStrip, fields.boolean("rstrip", false));
    SPOLIA_ASSIGN_OR_RETURN(token.special, fields.boolean("special", false));
    SPOLIA_ASSIGN_OR_RETURN(token.normalized, fields.boolean("normalized", !token.special));
    if (!token.content.empty()) out.push_back(std::move(token));
  }
  return out;
}

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), byFirst_(256) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (a.content.size() != b.content.size()) return a.content.size() > b.content.size();
    return a.content < b.content;
  });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    std::vector<Group>& groups = byFirst_[static_cast<uint8_t>(content[0])];
    if (groups.empty() || groups.back().length != content.size()) {
      groups.push_back({content.size(), i, i});
    }
    groups.back().end = i + 1;
  }
}

// Models have thousands of tokens that begin with "<", but of few lengths.
const AddedToken* AddedTokenMatcher::longestAt(std::string_view text) const {
  for (const Group& group : byFirst_[static_cast<uint8_t>(text[0])]) {
    if (group.length > text.size()) continue;
    const std::string_view front = text.substr(0, group.length);
    const auto begin = tokens_.begin() + static_cast<ptrdiff_t>(group.begin);
    const auto end = tokens_.begin() + static_cast<ptrdiff_t>(group.end);
    const auto at = std::lower_bound(
        begin, end, front,
        [](const AddedToken& token, std::string_view wanted) { return token.content < wanted; });
    if (at != end && at->content == front) return &*at;
  }
  return nullptr;
}

std::vector<AddedTokenMatcher::Part> AddedTokenMatcher::split(std::string_view text,
                                                              const Allows& allows) const {
  std::vector<Part> parts;
  size_t done = 0;
  size_t at = 0;
  while (!tokens_.empty() && at < text.size()) {
    const AddedToken* token = longestAt(text.substr(at));
    if (!token || (allows && !allows(at, at + token->content.size()))) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (token->singleWord && !standsAlone(text, begin, end)) continue;
    // White space that the token before has swallowed already stays with that one. Where the token
    // itself lies in such white space both count it: so does the reference.
    if (token->leftStrip) begin = std::max(stripLeft(text, begin), done);
    end = std::max(token->rightStrip ? stripRight(text, end) : end, begin);
    if (done < begin) parts.push_back({text.substr(done, begin - done), std::nullopt});
    parts.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), std::nullopt});
  return parts;
}

}  // namespace spolia::engine
