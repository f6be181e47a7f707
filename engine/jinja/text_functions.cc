#include "engine/jinja/text_functions.h"

#include <utf8proc.h>

#include <algorithm>

namespace spolia::engine::jinja {

namespace {

struct Decoded {
  char32_t character;
  size_t bytes;
};

Decoded decode(std::string_view text, size_t at) {
  utf8proc_int32_t character = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto length =
      utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &character);
  if (length > 0) return {static_cast<char32_t>(character), static_cast<size_t>(length)};
  return {static_cast<unsigned char>(text[at]), 1};
}

// Where the character before `end` begins.
size_t characterBefore(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at + characterBytes(text, at) == end ? at : end - 1;
}

bool contains(std::string_view set, char32_t character) {
  for (size_t at = 0; at < set.size();) {
    const Decoded next = decode(set, at);
    if (next.character == character) return true;
    at += next.bytes;
  }
  return false;
}

}  // namespace

size_t characterBytes(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]) < 0x80 ? 1 : decode(text, at).bytes;
}

char32_t characterAt(std::string_view text, size_t at) {
  return decode(text, at).character;
}

size_t characterCount(std::string_view text) {
  size_t out = 0;
  for (size_t at = 0; at < text.size(); at += characterBytes(text, at)) ++out;
  return out;
}

size_t characterBegin(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += characterBytes(text, at);
  return at;
}

bool isSpace(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isLetter(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

MarkedText strip(const MarkedText& text, Side side, std::optional<std::string_view> set) {
  const std::string_view bytes = text.bytes();
  const auto goes = [&](size_t at) {
    const char32_t character = characterAt(bytes, at);
    return set ? contains(*set, character) : isSpace(character);
  };
  size_t begin = 0, end = bytes.size();
  if (side != Side::kRight) {
    while (begin < end && goes(begin)) begin += characterBytes(bytes, begin);
  }
  if (side != Side::kLeft) {
    while (end > begin && goes(characterBefore(bytes, end))) end = characterBefore(bytes, end);
  }
  return text.slice(begin, end);
}

std::vector<MarkedText> splitAtSpace(const MarkedText& text, MostCuts most) {
  const std::string_view bytes = text.bytes();
  std::vector<MarkedText> out;
  const auto skip = [&](size_t at, bool spaces) {
    while (at < bytes.size() && isSpace(characterAt(bytes, at)) == spaces) {
      at += characterBytes(bytes, at);
    }
    return at;
  };
  for (size_t begin = skip(0, true); begin < bytes.size();) {
    const bool last = most && out.size() >= *most;
    const size_t end = last ? bytes.size() : skip(begin, false);
    out.push_back(text.slice(begin, end));
    begin = skip(end, true);
  }
  return out;
}

std::vector<MarkedText> splitAtSpaceFromRight(const MarkedText& text, MostCuts most) {
  const std::string_view bytes = text.bytes();
  std::vector<MarkedText> out;
  const auto skip = [&](size_t end, bool spaces) {
    while (end > 0 && isSpace(characterAt(bytes, characterBefore(bytes, end))) == spaces) {
      end = characterBefore(bytes, end);
    }
    return end;
  };
  for (size_t end = skip(bytes.size(), true); end > 0;) {
    const bool last = most && out.size() >= *most;
    const size_t begin = last ? 0 : skip(end, false);
    out.push_back(text.slice(begin, end));
    end = skip(begin, true);
  }
  std::ranges::reverse(out);
  return out;
}

std::vector<MarkedText> split(const MarkedText& text, std::string_view by, MostCuts most) {
  std::vector<MarkedText> out;
  size_t begin = 0;
  while (!most || out.size() < *most) {
    const size_t end = text.bytes().find(by, begin);
    if (end == std::string::npos) break;
    out.push_back(text.slice(begin, end));
    begin = end + by.size();
  }
  out.push_back(text.slice(begin, text.size()));
  return out;
}

std::vector<MarkedText> splitFromRight(const MarkedText& text, std::string_view by, MostCuts most) {
  std::vector<MarkedText> out;
  std::string_view rest = text.bytes();
  while (!most || out.size() < *most) {
    const size_t at = rest.rfind(by);
    if (at == std::string::npos) break;
    out.push_back(text.slice(at + by.size(), rest.size()));
    rest = rest.substr(0, at);
  }
  out.push_back(text.slice(0, rest.size()));
  std::ranges::reverse(out);
  return out;
}

std::vector<MarkedText> splitLines(const MarkedText& text) {
  std::vector<MarkedText> out;
  const std::string_view bytes = text.bytes();
  const auto breaks = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = characterBytes(bytes, at);
    if (!breaks(characterAt(bytes, at))) {
      at += length;
      continue;
    }
    out.push_back(text.slice(begin, at));
    at += bytes.substr(at).starts_with("\r\n") ? 2 : length;
    begin = at;
  }
  if (begin < bytes.size()) out.push_back(text.slice(begin, bytes.size()));
  return out;
}

Result<MarkedText> replace(const MarkedText& text, const MarkedText& from, const MarkedText& to,
                           MostCuts most, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.scan(text.size()));
  MarkedText out;
  size_t begin = 0, done = 0;
  while (!most || done < *most) {
    const size_t at = text.bytes().find(from.bytes(), begin);
    if (at == std::string::npos) break;
    SPOLIA_RETURN_IF_ERROR(budget.make(to.size() + sizeof(OriginRange)));
    // Of nothing, one stands before each character and at the end.
    const size_t next =
        from.empty() && at < text.size() ? at + characterBytes(text.bytes(), at) : at + from.size();
    out.append(text, begin, at);
    out.append(to);
    if (from.empty()) out.append(text, at, next);
    begin = next;
    ++done;
    if (from.empty() && at == text.size()) return out;
  }
  SPOLIA_RETURN_IF_ERROR(budget.make(text.size()));
  out.append(text, begin, text.size());
  return out;
}

Result<MarkedText> indented(const MarkedText& text, const MarkedText& indent, bool first,
                            bool blank, Budget& budget) {
  SPOLIA_RETURN_IF_ERROR(budget.make(text.size()));
  MarkedText out;
  size_t begin = 0;
  for (bool atFirst = true; begin <= text.size(); atFirst = false) {
    const size_t end = std::min(text.bytes().find('\n', begin), text.size());
    if (atFirst ? first : blank || end > begin) {
      SPOLIA_RETURN_IF_ERROR(budget.make(indent.size() + sizeof(OriginRange)));
      out.append(indent);
    }
    out.append(text, begin, std::min(end + 1, text.size()));
    begin = end + 1;
  }
  return out;
}

MarkedText withCase(const MarkedText& text, Case wanted) {
  MarkedText out;
  bool inWord = false;  // behind a character that keeps the next one from being a first
  const std::string_view bytes = text.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const Decoded next = decode(bytes, at);
    const bool upper = wanted == Case::kUpper || (wanted != Case::kLower && !inWord);
    const auto code = static_cast<utf8proc_int32_t>(next.character);
    const auto changed = upper ? utf8proc_toupper(code) : utf8proc_tolower(code);
    utf8proc_uint8_t encoded[4];
    const auto length = utf8proc_encode_char(changed, encoded);
    const Origin origin = text.originAt(at);
    if (changed == code) {
      out.append(bytes.substr(at, next.bytes), origin);
    } else {
      out.append({reinterpret_cast<const char*>(encoded), static_cast<size_t>(length)}, origin);
    }
    if (wanted == Case::kCapital) {
      inWord = true;
    } else if (wanted == Case::kTitle) {
      inWord = isLetter(next.character);
    } else {
      inWord = !isSpace(next.character) && !contains("-({[<", next.character);
    }
    at += next.bytes;
  }
  return out;
}

MarkedText reversed(const MarkedText& text) {
  MarkedText out;
  for (size_t end = text.size(); end > 0;) {
    const size_t begin = characterBefore(text.bytes(), end);
    out.append(text, begin, end);
    end = begin;
  }
  return out;
}

}  // namespace spolia::engine::jinja
