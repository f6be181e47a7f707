#include "engine/http/replies/answer_text.h"

#include <algorithm>
#include <cstdint>

namespace spolia::engine {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes of the character that begins with this byte; 0 where none can.
size_t characterLength(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

// The limits of the second byte, which rule out overlong forms, surrogates and what is beyond
// U+10FFFF (Unicode, table 3-7).
bool isSecondByte(uint8_t lead, uint8_t byte) {
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return byte >= low && byte <= high;
}

// Bytes at `at` that are a well-formed character, or its beginning where the text ends; 0 if
// neither.
size_t wellFormed(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t length = characterLength(byte(at));
  if (length == 0) return 0;
  const size_t end = std::min(text.size(), at + length);
  for (size_t i = at + 1; i < end; ++i) {
    const bool fits = i == at + 1 ? isSecondByte(byte(at), byte(i)) : (byte(i) & 0xC0) == 0x80;
    if (!fits) return 0;
  }
  return end - at;
}

// Bytes at the end that begin a character but do not complete it.
size_t openCharacter(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const size_t at = text.size() - back;
    const size_t length = characterLength(static_cast<uint8_t>(text[at]));
    if (length > back) return wellFormed(text, at) == back ? back : 0;
    if (length > 0) return 0;
  }
  return 0;
}

}  // namespace

std::string replaceIllFormed(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = wellFormed(text, at);
    const bool whole = length > 0 && length == characterLength(static_cast<uint8_t>(text[at]));
    out += whole ? text.substr(at, length) : kReplacement;
    at += whole ? length : 1;
  }
  return out;
}

size_t AnswerText::uncertain() const {
  size_t held = openCharacter(pending_);
  for (const std::string& stop : stops_) {
    const size_t most = std::min(pending_.size(), stop.size() - 1);
    for (size_t count = most; count > held; --count) {
      if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, count))) {
        held = count;
        break;
      }
    }
  }
  return held;
}

std::string AnswerText::take(size_t count) {
  std::string out = replaceIllFormed(std::string_view(pending_).substr(0, count));
  pending_.erase(0, count);
  begun_ = begun_ || !out.empty();
  return out;
}

std::string AnswerText::feed(std::string_view bytes) {
  if (stopped_) return {};
  pending_ += bytes;
  if (!begun_) pending_.erase(0, pending_.find_first_not_of(" \t\r\n"));
  size_t cut = std::string::npos;
  for (const std::string& stop : stops_) cut = std::min(cut, pending_.find(stop));
  if (cut != std::string::npos) {
    stopped_ = true;
    std::string out = take(cut);
    pending_.clear();
    return out;
  }
  return take(pending_.size() - uncertain());
}

std::string AnswerText::finish() {
  return take(pending_.size());
}

}  // namespace spolia::engine
