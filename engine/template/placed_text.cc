#include "engine/template/placed_text.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

namespace spolia::engine {

namespace {

// From U+E000 on, for private use: three bytes of UTF-8, the first the same for all.
constexpr size_t kMarkBytes = 3;
constexpr char kLead = '\xEE';

std::string markOf(size_t place) {
  return {kLead, static_cast<char>(0x80 | (place >> 6)), static_cast<char>(0x80 | (place & 63))};
}

// What a template made of marks in another way than as a whole is no place.
std::optional<size_t> placeOf(std::string_view mark) {
  const auto bits = [&](size_t i) { return static_cast<unsigned char>(mark[i]) & 63u; };
  if (mark.size() < kMarkBytes || mark[0] != kLead) return std::nullopt;
  return (bits(1) << 6) | bits(2);
}

}  // namespace

void appendPlace(jinja::MarkedText& text, size_t place) {
  text.append(markOf(place), jinja::Origin::kPlace);
}

std::vector<PlacedPart> partsOf(const jinja::MarkedText& text) {
  std::vector<PlacedPart> out;
  const auto addText = [&](size_t begin, size_t end) {
    if (begin == end) return;
    if (out.empty() || out.back().place) out.emplace_back();
    out.back().text.append(text, begin, end);
  };
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  bool documents = false;
  for (const jinja::OriginRange& range : text.ranges()) {
    if (range.origin != jinja::Origin::kPlace) continue;
    addText(begin, range.begin);
    for (size_t at = range.begin; at < range.end; at += kMarkBytes) {
      const auto place = placeOf(bytes.substr(at, std::min(kMarkBytes, range.end - at)));
      if (!place || (place == kDocumentsPlace && std::exchange(documents, true))) continue;
      out.push_back({place, {}});
    }
    begin = range.end;
  }
  addText(begin, text.size());
  return out;
}

bool hasPlace(const jinja::MarkedText& text, size_t place) {
  const std::vector<PlacedPart> parts = partsOf(text);
  return std::ranges::any_of(parts, [&](const PlacedPart& part) { return part.place == place; });
}

std::string filled(const jinja::MarkedText& text, std::span<const std::string> texts) {
  std::string out;
  for (const PlacedPart& part : partsOf(text)) {
    if (!part.place) {
      out += part.text.bytes();
    } else if (*part.place == kDocumentsPlace) {
      out += markOf(kDocumentsPlace);
    } else if (*part.place <= texts.size()) {
      out += texts[*part.place - 1];
    }
  }
  return out;
}

}  // namespace spolia::engine
