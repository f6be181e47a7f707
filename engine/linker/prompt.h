// A prompt as every method sees it: segments tokenised separately, one BOS in front of all. Value
// types; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "engine/linker/manifest.h"
#include "engine/model/tokenizer.h"

namespace spolia::engine {

enum class SegmentKind : uint8_t {
  kFresh,  // text that is computed with the prompt
  kChunk,  // text whose KV may be stored
};

struct PromptSegment {
  SegmentKind kind = SegmentKind::kFresh;
  std::string name;  // for people: "document#3"
  std::vector<codec::TokenId> tokens;
};

struct Prompt {
  // The first segment is BOS alone.
  std::vector<PromptSegment> segments;

  uint32_t rows() const {
    size_t sum = 0;
    for (const PromptSegment& segment : segments) sum += segment.tokens.size();
    return static_cast<uint32_t>(sum);
  }
  // All ids, in order.
  std::vector<codec::TokenId> tokens() const {
    std::vector<codec::TokenId> out;
    out.reserve(rows());
    for (const PromptSegment& segment : segments) {
      out.insert(out.end(), segment.tokens.begin(), segment.tokens.end());
    }
    return out;
  }
};

// A prompt that holds BOS only; segments are appended.
inline Prompt promptWithBos(codec::TokenId bos) {
  return Prompt{{PromptSegment{SegmentKind::kFresh, "bos", {bos}}}};
}

// Tokenises `text` and appends it as a segment; text without tokens appends nothing. Failures are
// the tokenizer's.
Status appendText(Prompt& prompt, const Tokenizer& tokenizer, PromptSegment segment,
                  std::string_view text);

// Tokens of a prefix chunk.
inline constexpr uint32_t kPrefixChunkTokens = 256;

// The same ids cut into prefix chunks from position 0 on; what is left of them is fresh text.
Prompt cutIntoPrefixChunks(const Prompt& prompt);

// The chunks of a document, in order. Control tokens that its text spells stay text.
Status appendDocument(Prompt& prompt, const Tokenizer& tokenizer, const Manifest& document);

// `pattern` with every "{question}" in it replaced.
std::string questionText(std::string_view pattern, std::string_view question);

}  // namespace spolia::engine
