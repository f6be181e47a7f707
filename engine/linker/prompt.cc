#include "engine/linker/prompt.h"

#include <algorithm>
#include <utility>

namespace spolia::engine {

Status appendText(Prompt& prompt, const Tokenizer& tokenizer, PromptSegment segment,
                  std::string_view text) {
  SPOLIA_ASSIGN_OR_RETURN(segment.tokens, tokenizer.encode(text));
  if (!segment.tokens.empty()) prompt.segments.push_back(std::move(segment));
  return Status();
}

Prompt cutIntoPrefixChunks(const Prompt& prompt) {
  const std::vector<codec::TokenId> tokens = prompt.tokens();
  Prompt out;
  for (size_t begin = 0; begin < tokens.size(); begin += kPrefixChunkTokens) {
    const size_t end = std::min<size_t>(tokens.size(), begin + kPrefixChunkTokens);
    const bool whole = end - begin == kPrefixChunkTokens;
    out.segments.push_back({whole ? SegmentKind::kChunk : SegmentKind::kFresh,
                            whole ? "prefix#" + std::to_string(begin / kPrefixChunkTokens) : "tail",
                            {tokens.begin() + static_cast<ptrdiff_t>(begin),
                             tokens.begin() + static_cast<ptrdiff_t>(end)}});
  }
  return out;
}

Status appendDocument(Prompt& prompt, const Tokenizer& tokenizer, const Manifest& document) {
  for (size_t i = 0; i < document.chunks.size(); ++i) {
    PromptSegment segment{SegmentKind::kChunk, document.name + "#" + std::to_string(i), {}};
    SPOLIA_ASSIGN_OR_RETURN(segment.tokens, tokenizer.encodeContent(document.chunks[i].text));
    if (!segment.tokens.empty()) prompt.segments.push_back(std::move(segment));
  }
  return Status();
}

std::string questionText(std::string_view pattern, std::string_view question) {
  constexpr std::string_view kPlace = "{question}";
  std::string out(pattern);
  for (size_t at = out.find(kPlace); at != std::string::npos;
       at = out.find(kPlace, at + question.size())) {
    out.replace(at, kPlace.size(), question);
  }
  return out;
}

}  // namespace spolia::engine
