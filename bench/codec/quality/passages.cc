#include "bench/codec/quality/passages.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace spolia::bench {

namespace {

constexpr char kPageBreak = '\f';

std::vector<std::string_view> pagesOf(std::string_view text) {
  std::vector<std::string_view> pages;
  while (true) {
    const size_t end = text.find(kPageBreak);
    pages.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return pages;
    text.remove_prefix(end + 1);
  }
}

// Not std::shuffle: what that makes of a seed differs between libraries.
void shuffle(std::vector<Passage>& passages, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t left = passages.size(); left > 1; --left) {
    std::swap(passages[left - 1], passages[random() % left]);
  }
}

}  // namespace

std::vector<Passage> cutPassages(std::span<const std::vector<codec::TokenId>> pages,
                                 const PassageOptions& options) {
  const size_t length = size_t{options.cached} + options.continued;
  std::vector<Passage> passages;
  for (const std::vector<codec::TokenId>& page : pages) {
    for (size_t begin = 0; begin + length <= page.size(); begin += length) {
      const auto first = page.begin() + static_cast<ptrdiff_t>(begin);
      const auto middle = first + options.cached;
      passages.push_back({{first, middle}, {middle, middle + options.continued}});
    }
  }
  shuffle(passages, options.seed);
  if (passages.size() > options.most) passages.resize(options.most);
  return passages;
}

Result<std::vector<Passage>> readPassages(const std::filesystem::path& text,
                                          const engine::Tokenizer& tokenizer,
                                          const PassageOptions& options) {
  if (options.cached == 0 || options.most == 0) {
    return Status(ErrorCode::kInvalidArgument, "no tokens or no passages wanted");
  }
  std::ifstream in(text, std::ios::binary);
  if (!in) return Status(ErrorCode::kNotFound, text.string() + ": cannot be read");
  const std::string all{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::vector<std::vector<codec::TokenId>> pages;
  size_t longest = 0;
  for (const std::string_view page : pagesOf(all)) {
    auto tokens = tokenizer.encode(page);
    if (!tokens.ok()) return tokens.status().withContext(text.string());
    longest = std::max(longest, tokens->size());
    pages.push_back(std::move(tokens).value());
  }
  std::vector<Passage> passages = cutPassages(pages, options);
  if (passages.empty()) {
    return Status(ErrorCode::kInvalidArgument,
                  text.string() + ": its longest page has " + std::to_string(longest) +
                      " tokens, a passage takes " +
                      std::to_string(options.cached + options.continued));
  }
  return passages;
}

}  // namespace spolia::bench
