// Passages of text on which the damage of a codec is measured: `cached` tokens, whose KV is
// compressed, and the `continued` ones that the page goes on with. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "engine/model/tokenizer.h"

namespace spolia::bench {

struct Passage {
  std::vector<codec::TokenId> cached;
  std::vector<codec::TokenId> continued;
};

struct PassageOptions {
  uint32_t cached = 256;
  uint32_t continued = 32;
  size_t most = 64;
  uint64_t seed = 1;
};

// Pages cut into passages from their beginning, one behind the other, what is left over dropped;
// then shuffled, the same for the same seed on every machine, and at most `most` of them kept.
// Pages that are too short give none.
std::vector<Passage> cutPassages(std::span<const std::vector<codec::TokenId>> pages,
                                 const PassageOptions& options);

// The same of a UTF-8 text file whose pages are separated by form feeds. Errors name the file:
// kNotFound when it cannot be read, kInvalidArgument when no page is long enough, and the
// tokenizer's own.
Result<std::vector<Passage>> readPassages(const std::filesystem::path& text,
                                          const engine::Tokenizer& tokenizer,
                                          const PassageOptions& options);

}  // namespace spolia::bench
