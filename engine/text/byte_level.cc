#include "engine/text/byte_level.h"

#include <array>

namespace spolia::engine {

namespace {

constexpr bool spellsItself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr uint32_t kSymbolEnd = 0x100 + 68;  // 68 bytes do not spell themselves

struct SymbolTable {
  std::array<uint32_t, 256> symbolOf{};
  std::array<int, kSymbolEnd> byteOf{};

  constexpr SymbolTable() {
    byteOf.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      symbolOf[byte] = spellsItself(byte) ? byte : next++;
      byteOf[symbolOf[byte]] = static_cast<int>(byte);
    }
  }
};
constexpr SymbolTable kSymbols;

// The first continuation byte has a narrower range after E0, ED, F0 and F4: overlong forms,
// surrogates and code points beyond U+10FFFF do not exist.
bool continues(std::string_view text, size_t i) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const auto byte = static_cast<uint8_t>(text[i]);
  uint8_t low = 0x80, high = 0xBF;
  if (i == 1) {
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  return byte >= low && byte <= high;
}

size_t lengthOfLead(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Bytes of an ill-formed front that one U+FFFD stands for.
size_t illFormedLength(std::string_view text) {
  const size_t length = lengthOfLead(static_cast<uint8_t>(text[0]));
  size_t i = 1;
  while (i < length && i < text.size() && continues(text, i)) ++i;
  return i;
}

}  // namespace

uint32_t byteSymbol(uint8_t byte) {
  return kSymbols.symbolOf[byte];
}

std::optional<std::string> bytesIfSymbols(std::string_view token) {
  std::string out;
  while (!token.empty()) {
    uint32_t symbol = 0;
    const size_t length = utf8Length(token, &symbol);
    if (length == 0 || symbol >= kSymbolEnd || kSymbols.byteOf[symbol] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kSymbols.byteOf[symbol]));
    token.remove_prefix(length);
  }
  return out;
}

std::string bytesOfSymbols(std::string_view token) {
  auto bytes = bytesIfSymbols(token);
  return bytes ? *std::move(bytes) : std::string(token);
}

void appendUtf8(std::string& out, uint32_t codePoint) {
  auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((codePoint >> shift) & 0x3F)));
  };
  if (codePoint < 0x80) {
    out.push_back(static_cast<char>(codePoint));
  } else if (codePoint < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (codePoint >> 6)));
    tail(0);
  } else if (codePoint < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (codePoint >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (codePoint >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t utf8Length(std::string_view text, uint32_t* codePoint) {
  if (text.empty()) return 0;
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t length = lengthOfLead(lead);
  if (length == 0 || text.size() < length) return 0;
  uint32_t value = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (!continues(text, i)) return 0;
    value = value << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
  }
  if (codePoint) *codePoint = value;
  return length;
}

bool isValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string replaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t length = utf8Length(text);
    if (length > 0) {
      out.append(text.substr(0, length));
    } else {
      length = illFormedLength(text);
      appendUtf8(out, 0xFFFD);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace spolia::engine
