// Functions of strings, as Python's str has them, on texts that keep their marks. Positions are
// bytes unless said otherwise; texts that are not well-formed UTF-8 are taken byte by byte where it
// breaks. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/jinja/budget.h"
#include "engine/jinja/marked_text.h"

namespace spolia::engine::jinja {

// Length of the character at `at`, at least 1.
size_t characterBytes(std::string_view text, size_t at);
// Number of characters.
size_t characterCount(std::string_view text);
// Where character `index` begins; the end for one behind the last.
size_t characterBegin(std::string_view text, size_t index);
// Of the character at `at`.
char32_t characterAt(std::string_view text, size_t at);

bool isSpace(char32_t character);
bool isLetter(char32_t character);

enum class Side : uint8_t { kBoth, kLeft, kRight };
// Without white space, or characters of `set`, at the ends.
MarkedText strip(const MarkedText& text, Side side, std::optional<std::string_view> set = {});

// At most `most` cuts, from the left or the right; nullopt: all.
using MostCuts = std::optional<uint64_t>;
std::vector<MarkedText> splitAtSpace(const MarkedText& text, MostCuts most);
std::vector<MarkedText> splitAtSpaceFromRight(const MarkedText& text, MostCuts most);
std::vector<MarkedText> split(const MarkedText& text, std::string_view by, MostCuts most);
std::vector<MarkedText> splitFromRight(const MarkedText& text, std::string_view by, MostCuts most);
std::vector<MarkedText> splitLines(const MarkedText& text);

// Errors: the budget's.
Result<MarkedText> replace(const MarkedText& text, const MarkedText& from, const MarkedText& to,
                           MostCuts most, Budget& budget);
// Each line but perhaps the first behind `indent`; lines of nothing only when `blank`.
Result<MarkedText> indented(const MarkedText& text, const MarkedText& indent, bool first,
                            bool blank, Budget& budget);

enum class Case : uint8_t {
  kUpper,
  kLower,
  kCapital,     // the first upper, the others lower
  kTitle,       // the first of each run of letters upper: str.title()
  kTitleWords,  // of each word between white space, "-" and brackets: Jinja's filter
};
MarkedText withCase(const MarkedText& text, Case wanted);

// Reversed by characters.
MarkedText reversed(const MarkedText& text);

}  // namespace spolia::engine::jinja
