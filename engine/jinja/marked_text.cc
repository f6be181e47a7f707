#include "engine/jinja/marked_text.h"

#include <algorithm>

namespace spolia::engine::jinja {

namespace {

// The first range that ends behind `at`.
auto firstBehind(const std::vector<OriginRange>& ranges, size_t at) {
  return std::ranges::upper_bound(ranges, at, {}, &OriginRange::end);
}

}  // namespace

MarkedText::MarkedText(std::string bytes, Origin origin) : bytes_(std::move(bytes)) {
  mark(0, bytes_.size(), origin);
}

void MarkedText::mark(size_t begin, size_t end, Origin origin) {
  if (begin == end || origin == Origin::kTemplate) return;
  if (!ranges_.empty() && ranges_.back().end == begin && ranges_.back().origin == origin) {
    ranges_.back().end = end;
  } else {
    ranges_.push_back({begin, end, origin});
  }
}

Origin MarkedText::originAt(size_t at) const {
  const auto range = firstBehind(ranges_, at);
  return range != ranges_.end() && range->begin <= at ? range->origin : Origin::kTemplate;
}

Origin MarkedText::originOfAll() const {
  if (ranges_.empty()) return Origin::kTemplate;
  const bool onePlace = ranges_.size() == 1 && ranges_[0].origin == Origin::kPlace &&
                        ranges_[0].begin == 0 && ranges_[0].end == bytes_.size();
  return onePlace ? Origin::kPlace : Origin::kContent;
}

void MarkedText::append(const MarkedText& other, size_t begin, size_t end) {
  const size_t base = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  for (auto at = firstBehind(other.ranges_, begin); at != other.ranges_.end(); ++at) {
    if (at->begin >= end) break;
    mark(base + std::max(at->begin, begin) - begin, base + std::min(at->end, end) - begin,
         at->origin);
  }
}

void MarkedText::append(std::string_view bytes, Origin origin) {
  const size_t base = bytes_.size();
  bytes_.append(bytes);
  mark(base, bytes_.size(), origin);
}

MarkedText MarkedText::slice(size_t begin, size_t end) const {
  MarkedText out;
  out.append(*this, begin, end);
  return out;
}

}  // namespace spolia::engine::jinja
