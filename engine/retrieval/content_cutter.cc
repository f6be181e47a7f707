#include "engine/retrieval/content_cutter.h"

#include <algorithm>
#include <array>

#include "engine/linker/chunker.h"

namespace spolia::engine {

namespace {

// Bytes a hash is of: each shift by one bit moves older ones out.
constexpr size_t kWindow = 64;
// How far behind its proposal a cut may be.
constexpr size_t kSnapBytes = 512;
// Nine bits: one proposal in 512 bytes. The highest ones, which depend on the whole window.
constexpr uint64_t kCutMask = uint64_t{0x1FF} << 55;
constexpr size_t kMostCharacterBytes = 4;
constexpr std::string_view kSpaces = " \t\n\v\f\r";

// One number for each byte, by splitmix64 from a fixed seed. Another table would be other pieces,
// so that none of those stored would be found again.
constexpr std::array<uint64_t, 256> makeGear() {
  std::array<uint64_t, 256> out{};
  uint64_t state = 0x53504F4C4941;  // "SPOLIA"
  for (uint64_t& number : out) {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    number = z ^ (z >> 31);
  }
  return out;
}
constexpr std::array<uint64_t, 256> kGear = makeGear();

// Where the piece at the front of `text` may end. Hashed from a window before the least size on, so
// that no proposal depends on where the piece began.
size_t proposal(std::string_view text) {
  const size_t most = std::min(text.size(), kMostPieceBytes - kSnapBytes);
  uint64_t hash = 0;
  for (size_t i = kLeastPieceBytes - kWindow; i < most; ++i) {
    hash = (hash << 1) + kGear[static_cast<unsigned char>(text[i])];
    if (i + 1 >= kLeastPieceBytes && (hash & kCutMask) == 0) return i + 1;
  }
  return most;
}

// The end of a sentence behind `at`, or else of the character there.
size_t snapped(std::string_view text, size_t at) {
  for (size_t i = 1; i < kMostCharacterBytes && at < text.size(); ++i, ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) break;
  }
  constexpr size_t kLimit = kSnapBytes - kMostCharacterBytes;
  const size_t length = sentenceLength(text.substr(at), kLimit);
  const bool found = length + kMostCharacterBytes <= kLimit;
  return found ? at + length : at;
}

// Length of what `text` has of white space at its front, all of it if there is nothing else.
size_t leadingSpace(std::string_view text) {
  return std::min(text.find_first_not_of(kSpaces), text.size());
}

class Parts {
 public:
  void fresh(std::string_view text) { add({text, false}); }
  void document(std::string_view text) { add({text, true}); }
  // A document without the white space around it.
  void trimmed(std::string_view text) {
    const size_t begin = leadingSpace(text);
    const size_t end = std::max(begin, text.find_last_not_of(kSpaces) + 1);
    fresh(text.substr(0, begin));
    document(text.substr(begin, end - begin));
    fresh(text.substr(end));
  }
  std::vector<TextPart> take() { return std::move(parts_); }

 private:
  // Parts come in order and without gaps, so fresh neighbours are one.
  void add(TextPart part) {
    if (part.text.empty()) return;
    if (!part.document && !parts_.empty() && !parts_.back().document) {
      std::string_view& last = parts_.back().text;
      last = {last.data(), last.size() + part.text.size()};
    } else {
      parts_.push_back(part);
    }
  }

  std::vector<TextPart> parts_;
};

}  // namespace

std::vector<std::string_view> contentPieces(std::string_view text) {
  std::vector<std::string_view> out;
  while (text.size() >= kLeastPieceBytes + kTailBytes) {
    const size_t end = snapped(text, proposal(text));
    if (end + kTailBytes > text.size()) break;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  if (!text.empty()) out.push_back(text);
  return out;
}

std::vector<TextPart> documentsIn(std::string_view text, const DocumentCut& cut) {
  Parts out;
  const std::string& separator = cut.separator;
  if (!separator.empty() && text.find(separator) != std::string_view::npos) {
    size_t at = 0;
    while ((at = text.find(separator)) != std::string_view::npos) {
      out.trimmed(text.substr(0, at));
      out.fresh(text.substr(at, separator.size()));
      text.remove_prefix(at + separator.size());
    }
  } else if (cut.over > 0 && text.size() > cut.over) {
    const size_t space = leadingSpace(text);
    out.fresh(text.substr(0, space));
    text.remove_prefix(space);
    std::vector<std::string_view> pieces = contentPieces(text);
    for (size_t i = 0; i + 1 < pieces.size(); ++i) {
      out.document(pieces[i]);
      text.remove_prefix(pieces[i].size());
    }
  }
  out.fresh(text);
  return out.take();
}

}  // namespace spolia::engine
