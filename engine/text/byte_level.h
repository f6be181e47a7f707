// Bytes, UTF-8 and the printable symbols by which byte-level vocabularies spell bytes: every byte
// has one character, so that any text is a string of known symbols. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spolia::engine {

// The code point that spells a byte: itself where printable in Latin-1 (0x21-0x7E, 0xA1-0xAC,
// 0xAE-0xFF), else 0x100 + its rank among the rest.
uint32_t byteSymbol(uint8_t byte);

// The bytes a vocabulary entry spells, or its own bytes when it has a character that spells none
// (an added token with a blank, for instance).
std::string bytesOfSymbols(std::string_view token);
// Likewise, nothing when some character spells no byte.
std::optional<std::string> bytesIfSymbols(std::string_view token);

void appendUtf8(std::string& out, uint32_t codePoint);

// One well-formed character at the front of `text`: its length in bytes, 0 when ill-formed or
// empty; the code point goes to `codePoint` where that is not null.
size_t utf8Length(std::string_view text, uint32_t* codePoint = nullptr);

bool isValidUtf8(std::string_view text);
// Each maximal ill-formed part becomes U+FFFD, as the Unicode standard recommends (and as the
// reference implementations decode bytes).
std::string replaceInvalidUtf8(std::string_view text);

}  // namespace spolia::engine
