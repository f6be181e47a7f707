// What a linking method computes and what it loads: pure functions of the segments' lengths.
//
// | method  | computed rows                                                    |
// | full    | all                                                              |
// | reuse   | fresh text                                                       |
// | first-k | fresh text and the first k rows of every chunk that is not exact |
// | lego0   | fresh text; its chunks were compiled behind four BOS rows        |
// | prefix  | all behind the stored prefix, which is of exact pages            |
//
// Fresh text is whatever has no chunk behind it: BOS, question, chunks that could not be had. A
// chunk right behind BOS is exact: it stands where it was compiled. The last row of a prompt is
// always computed, for its logits. A method reads the chunks of one compile mode only. Value types;
// any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"

namespace spolia::engine {

enum class LinkMethod : uint8_t { kFull, kReuse, kFirstK, kLego0, kPrefix };

inline constexpr uint32_t kDefaultFirstK = 16;
// BOS rows in front of every prompt and of every chunk compiled the default way.
inline constexpr uint32_t kBosRows = 1;
// Of a chunk compiled for `lego0`.
inline constexpr uint32_t kLego0BosRows = 4;

// BOS rows in front of an isolated chunk; they stand at positions 0 .. and are not stored.
constexpr uint32_t bosRowsOf(codec::CompileMode mode) {
  return mode == codec::CompileMode::kLego0 ? kLego0BosRows : kBosRows;
}
// How the chunks that a method loads were compiled.
constexpr codec::CompileMode compileModeOf(LinkMethod method) {
  if (method == LinkMethod::kPrefix) return codec::CompileMode::kPrefix;
  return method == LinkMethod::kLego0 ? codec::CompileMode::kLego0 : codec::CompileMode::kBos;
}
// "bos", "lego0" or "prefix"; isolated chunks are of the first two.
std::string_view compileModeName(codec::CompileMode mode);
Result<codec::CompileMode> compileModeFromName(std::string_view name);

// "full", "reuse", "first-k", "lego0", "prefix".
std::string_view linkMethodName(LinkMethod method);
Result<LinkMethod> linkMethodFromName(std::string_view name);

// One segment of a prompt as the plan sees it.
struct PlanSegment {
  uint32_t rows = 0;
  bool stored = false;  // its KV can be loaded
};

// Rows [rowBegin, rowEnd) of a segment; row 0 stands at prompt position firstPosition.
struct LoadedRows {
  size_t segment = 0;
  uint32_t firstPosition = 0;
  uint32_t rowBegin = 0;
  uint32_t rowEnd = 0;

  uint32_t rows() const { return rowEnd - rowBegin; }
  bool operator==(const LoadedRows&) const = default;
};

// Every position of the prompt is either computed or loaded or resident, never two of these.
struct LinkPlan {
  std::vector<uint32_t> computed;  // positions, ascending
  std::vector<LoadedRows> loaded;  // in order of positions, none empty
  uint32_t rows = 0;               // of the whole prompt
};

// The first `resident` rows, fewer than there are, stand in the pages already.
LinkPlan makeLinkPlan(std::span<const PlanSegment> segments, LinkMethod method, uint32_t k,
                      uint32_t resident = 0);

}  // namespace spolia::engine
