// MarkedText: a string whose bytes know where they came from. What a template spells itself may
// name control tokens; what came in from outside may not, however it was cut, joined or replaced on
// the way. Value type; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spolia::engine::jinja {

enum class Origin : uint8_t {
  kTemplate,  // the template's own text
  kContent,   // from the variables it was rendered with
  kPlace,     // a place that the caller marked, to find it again in what was rendered
};

// Bytes [begin, end).
struct OriginRange {
  size_t begin = 0;
  size_t end = 0;
  Origin origin = Origin::kContent;

  bool operator==(const OriginRange&) const = default;
};

class MarkedText {
 public:
  MarkedText() = default;
  MarkedText(std::string bytes, Origin origin);  // NOLINT: both are the same text
  MarkedText(std::string_view bytes) : bytes_(bytes) {}

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Ascending, apart, none empty, neighbours of one origin joined; the rest is the template's.
  const std::vector<OriginRange>& ranges() const { return ranges_; }
  Origin originAt(size_t at) const;
  // The origin of a text in whose making all of this one had a part.
  Origin originOfAll() const;

  void append(const MarkedText& other) { append(other, 0, other.size()); }
  void append(const MarkedText& other, size_t begin, size_t end);
  void append(std::string_view bytes, Origin origin = Origin::kTemplate);
  MarkedText slice(size_t begin, size_t end) const;

 private:
  void mark(size_t begin, size_t end, Origin origin);

  std::string bytes_;
  std::vector<OriginRange> ranges_;
};

}  // namespace spolia::engine::jinja
