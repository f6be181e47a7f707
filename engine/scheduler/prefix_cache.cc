#include "engine/scheduler/prefix_cache.h"

#include <algorithm>

namespace spolia::engine {

// Of each whole page of the tokens, in order.
std::vector<Sha256Digest> PrefixCache::names(std::span<const codec::TokenId> tokens,
                                             std::string_view salt) {
  std::vector<Sha256Digest> out;
  Sha256Digest before{sha256(std::as_bytes(std::span(salt)))};
  for (; tokens.size() >= PagePool::kPageTokens; tokens = tokens.subspan(PagePool::kPageTokens)) {
    const auto ids = std::as_bytes(tokens.first(PagePool::kPageTokens));
    std::vector<std::byte> named(before.bytes.begin(), before.bytes.end());
    named.insert(named.end(), ids.begin(), ids.end());
    before = {sha256(named)};
    out.push_back(before);
  }
  return out;
}

std::vector<PageRef> PrefixCache::find(std::span<const codec::TokenId> tokens,
                                       std::string_view salt) {
  std::vector<PageRef> out;
  std::vector<Entry*> found;
  for (const Sha256Digest& name : names(tokens, salt)) {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) break;
    out.push_back(entry->second.page);
    found.push_back(&entry->second);
  }
  // Last pages first, so that a page outlives those that are found behind it.
  for (auto entry = found.rbegin(); entry != found.rend(); ++entry) {
    order_.splice(order_.end(), order_, (*entry)->order);
  }
  return out;
}

void PrefixCache::add(std::span<const codec::TokenId> tokens, std::string_view salt,
                      std::span<const PageRef> pages) {
  const std::vector<Sha256Digest> all = names(tokens, salt);
  const size_t count = std::min(all.size(), pages.size());
  for (size_t i = count; i-- > 0;) {
    const auto [entry, isNew] = entries_.try_emplace(all[i]);
    if (isNew) {
      entry->second = {pages[i], order_.insert(order_.end(), all[i])};
    } else {
      order_.splice(order_.end(), order_, entry->second.order);
    }
  }
}

size_t PrefixCache::drop(size_t pages) {
  size_t dropped = 0;
  for (auto name = order_.begin(); name != order_.end() && dropped < pages;) {
    const auto entry = entries_.find(*name);
    if (entry->second.page.use_count() > 1) {
      ++name;
      continue;
    }
    entries_.erase(entry);
    name = order_.erase(name);
    ++dropped;
  }
  return dropped;
}

}  // namespace spolia::engine
