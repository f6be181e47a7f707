// Documents inside of a message: texts that a client has put into the prompt itself, which come
// again in other messages, other orders and with other questions. Pure functions; any thread.
//
// Where no separator tells, boundaries are content-defined: a rolling hash over the last 64 bytes
// proposes where a piece may end, on average every 512 bytes from its 512th on, and the next end of
// a sentence (as in chunker.h) or a line is taken. So what is inserted or removed somewhere changes
// the pieces around it and no others, and the same text in another message has the same pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spolia::engine {

// Bytes of a piece, the last of a text aside.
inline constexpr size_t kLeastPieceBytes = 512;
inline constexpr size_t kMostPieceBytes = 4096;
// What no piece but the last may have of the end of a text: there the question stands.
inline constexpr size_t kTailBytes = 256;

// The pieces of `text`, in order; joined they are `text`. The same bytes have the same pieces on
// every machine. Each but the last has kLeastPieceBytes to kMostPieceBytes, and ends at the end of
// a sentence unless there is none for some 500 bytes; the last has, if it is not the only one, at
// least kTailBytes, and fewer than kMostPieceBytes + kTailBytes. No character of well-formed UTF-8
// is cut. Empty text has no pieces.
std::vector<std::string_view> contentPieces(std::string_view text);

struct DocumentCut {
  std::string separator;  // between documents, the last of which is the question; empty: none
  uint64_t over = 2048;   // bytes; longer texts are cut by content. 0: none is
};

struct TextPart {
  std::string_view text;
  bool document = false;
};

// The documents in `text` and what stands around them, in order; joined they are `text`, and no
// part is empty. A text with separators is cut at these, any other by content. Separators, white
// space at the edges of a text or of a document between separators, and what stands behind the last
// cut belong to no document.
std::vector<TextPart> documentsIn(std::string_view text, const DocumentCut& cut);

}  // namespace spolia::engine
