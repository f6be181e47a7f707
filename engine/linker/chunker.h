// Where the reusable chunks of a document begin and end: at sentence ends, at most so many tokens
// each. Pure functions; any thread.
//
// A sentence ends after the run of white space that follows '.', '!' or '?', or that holds a line
// break; the run belongs to the sentence before it. Whole sentences are packed into a chunk while
// they fit. A sentence that is longer than a chunk may be is cut at the limit, between two UTF-8
// characters; what is left of it is packed like a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"

namespace spolia::engine {

inline constexpr uint32_t kDefaultChunkTokens = 256;
// Below this one character of a byte-level vocabulary might not fit.
inline constexpr uint32_t kMinChunkTokens = 16;

struct TextChunk {
  std::string text;
  std::vector<codec::TokenId> tokens;  // of this text alone, no BOS
};

// Ids of a text; what Tokenizer::encode does.
using Tokenize = std::function<Result<std::vector<codec::TokenId>>(std::string_view)>;

// The chunks of `text`, in order; their texts joined are `text`, byte for byte. Empty text has no
// chunks. kInvalidArgument when maxTokens is out of range, or a part of the text has no tokens;
// failures of `tokenize` are passed on.
Result<std::vector<TextChunk>> chunkText(std::string_view text, uint32_t maxTokens,
                                         const Tokenize& tokenize);

// Length of the first sentence of `text`, its separator included; at most `limit` or a little less,
// so as not to split a character, when it is longer.
size_t sentenceLength(std::string_view text, size_t limit);

// Whether `text` is well-formed UTF-8.
bool isUtf8(std::string_view text);

}  // namespace spolia::engine
