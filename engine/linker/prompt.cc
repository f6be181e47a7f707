#include "engine/linker/prompt.h"

#include <utility>

namespace spolia::engine {

Status appendText(Prompt& prompt, const Tokenizer& tokenizer, PromptSegment segment,
                  std::string_view text) {
  SPOLIA_ASSIGN_OR_RETURN(segment.tokens, tokenizer.encode(text));
  if (!segment.tokens.empty()) prompt.segments.push_back(std::move(segment));
  return Status();
}

}  // namespace spolia::engine
