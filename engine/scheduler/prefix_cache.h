// PrefixCache: pages of prompts that were computed from their first token on, to be held by later
// requests that begin with the same tokens. A page is named by a digest of its 64 tokens and of the
// page before it, so what stands in it follows from its name. Only exact pages are put here, never
// linked rows.
//
// One thread. Pages that nobody else holds are given up, those not asked for the longest first.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "codec/base/digest.h"
#include "codec/chunk_identity.h"
#include "engine/transformer/page_pool.h"

namespace spolia::engine {

class PrefixCache {
 public:
  // Pages of the longest beginning of `tokens` that is here. `salt` keeps apart what may not be
  // shared. Counts as asked for.
  std::vector<PageRef> find(std::span<const codec::TokenId> tokens, std::string_view salt);
  // `pages` hold the first pages.size() * 64 of `tokens`. Those that are here already stay.
  void add(std::span<const codec::TokenId> tokens, std::string_view salt,
           std::span<const PageRef> pages);

  // Gives up as many pages that nobody else holds, if there are; how many.
  size_t drop(size_t pages);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    PageRef page;
    std::list<Sha256Digest>::iterator order;
  };

  static std::vector<Sha256Digest> names(std::span<const codec::TokenId> tokens,
                                         std::string_view salt);

  std::unordered_map<Sha256Digest, Entry, DigestHash> entries_;
  std::list<Sha256Digest> order_;  // asked for longest ago first
};

}  // namespace spolia::engine
