#include "engine/jinja/value_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/jinja/text_functions.h"

namespace spolia::engine::jinja {

namespace {

constexpr char kHex[] = "0123456789abcdef";

void appendHex(std::string& out, uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[value >> shift & 15];
}

// Puts text behind text within the budget, or keeps the first failure.
class Writer {
 public:
  explicit Writer(Budget& budget) : budget_(budget) {}

  void add(std::string_view bytes, Origin origin = Origin::kTemplate) {
    if (status_.ok()) status_ = budget_.make(bytes.size() + 1);
    if (status_.ok()) out_.append(bytes, origin);
  }
  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  bool failed() const { return !status_.ok(); }
  Result<MarkedText> finish() {
    if (failed()) return status_;
    return std::move(out_);
  }

 private:
  Budget& budget_;
  MarkedText out_;
  Status status_;
};

std::string escapedForPython(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7F) {
      out += "\\x";
      appendHex(out, code, 2);
    } else {
      out += c;
    }
  }
  return out += quote;
}

void addRepr(Writer& out, const Value& value);

void addItems(Writer& out, const List& list) {
  out.add(list.tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size() && !out.failed(); ++i) {
    if (i > 0) out.add(", ");
    addRepr(out, list.items[i]);
  }
  if (list.tuple && list.items.size() == 1) out.add(",");
  out.add(list.tuple ? ")" : "]");
}

void addText(Writer& out, const MarkedText& text) {
  const bool single =
      text.bytes().find('\'') == std::string::npos || text.bytes().find('"') != std::string::npos;
  out.add(escapedForPython(text.bytes(), single ? '\'' : '"'), text.originOfAll());
}

void addPlain(Writer& out, const Value& value) {
  int64_t number = 0;
  if (value.isNone()) {
    out.add("None");
  } else if (value.is<bool>()) {
    out.add(value.truth() ? "True" : "False");
  } else if (value.integer(number)) {
    out.add(std::to_string(number));
  } else if (value.isNumber()) {
    out.add(floatText(value.number()));
  } else {
    out.fail(typeError("a " + std::string(value.typeName()) + " has no text"));
  }
}

void addRepr(Writer& out, const Value& value) {
  if (value.isUndefined()) {
    out.add("Undefined");
  } else if (value.text()) {
    addText(out, *value.text());
  } else if (value.list()) {
    addItems(out, *value.list());
  } else if (value.dict()) {
    out.add("{");
    bool first = true;
    for (const auto& [key, item] : value.dict()->entries) {
      if (out.failed()) return;
      if (!first) out.add(", ");
      first = false;
      addText(out, key);
      out.add(": ");
      addRepr(out, item);
    }
    out.add("}");
  } else {
    addPlain(out, value);
  }
}

std::string jsonString(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const size_t length = characterBytes(text, at);
    const char32_t c = characterAt(text, at);
    constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt";
    const size_t named = c < 0x80 ? kEscaped.find(static_cast<char>(c)) : std::string::npos;
    if (named != std::string::npos) {
      out += {'\\', kNames[named]};
    } else if (c < 0x20 || (ascii && c > 0x7E && c < 0x10000)) {
      out += "\\u";
      appendHex(out, c, 4);
    } else if (ascii && c >= 0x10000) {
      out += "\\u";
      appendHex(out, 0xD800 + ((c - 0x10000) >> 10), 4);
      out += "\\u";
      appendHex(out, 0xDC00 + ((c - 0x10000) & 0x3FF), 4);
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  return out += '"';
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), out_(budget) {}

  void add(const Value& value, int64_t level) {
    if (out_.failed()) return;
    if (value.text()) {
      out_.add(jsonString(value.text()->bytes(), style_.ascii), value.text()->originOfAll());
    } else if (value.list()) {
      addAll('[', value.list()->items, level, ']',
             [&](const Value& item) { add(item, level + 1); });
    } else if (value.dict()) {
      addDict(*value.dict(), level);
    } else if (value.isNone() || value.isUndefined()) {
      out_.add("null");
    } else if (value.is<bool>()) {
      out_.add(value.truth() ? "true" : "false");
    } else if (value.isNumber() && !std::isfinite(value.number())) {
      out_.add(std::isnan(value.number()) ? "NaN" : value.number() < 0 ? "-Infinity" : "Infinity");
    } else {
      addPlain(out_, value);
    }
  }
  Result<MarkedText> finish() { return out_.finish(); }

 private:
  void breakLine(int64_t level) {
    if (style_.indent < 0) return;
    const uint64_t blanks = static_cast<uint64_t>(level) * static_cast<uint64_t>(style_.indent);
    std::string line(1 + blanks, ' ');
    line[0] = '\n';
    out_.add(line);
  }

  template <typename Items, typename Add>
  void addAll(char open, const Items& items, int64_t level, char close, Add addItem) {
    out_.add({&open, 1});
    bool first = true;
    for (const auto& item : items) {
      if (out_.failed()) return;
      if (!first) out_.add(style_.itemSeparator);
      first = false;
      breakLine(level + 1);
      addItem(item);
    }
    if (!first) breakLine(level);
    out_.add({&close, 1});
  }

  void addDict(const Dict& dict, int64_t level) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sortKeys) {
      std::ranges::sort(entries, {}, [](const auto* entry) { return entry->first.bytes(); });
    }
    addAll('{', entries, level, '}', [&](const Dict::Entry* entry) {
      out_.add(jsonString(entry->first.bytes(), style_.ascii), entry->first.originOfAll());
      out_.add(style_.keySeparator);
      add(entry->second, level + 1);
    });
  }

  const JsonStyle& style_;
  Writer out_;
};

}  // namespace

std::string floatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // The fewest digits that read back the same; Python's choice between the two forms.
  char buffer[64];
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(buffer, end.ptr);
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

Result<MarkedText> toText(const Value& value, Budget& budget) {
  if (value.isUndefined()) return MarkedText();
  if (value.text()) {
    SPOLIA_RETURN_IF_ERROR(budget.make(value.text()->size()));
    return *value.text();
  }
  Writer out(budget);
  addRepr(out, value);
  return out.finish();
}

Result<MarkedText> toJson(const Value& value, const JsonStyle& style, Budget& budget) {
  // Blanks of one line are made before they are counted.
  if (style.indent > 64) return typeError("indent is more than 64");
  JsonWriter out(style, budget);
  out.add(value, 0);
  return out.finish();
}

}  // namespace spolia::engine::jinja
