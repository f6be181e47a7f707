#include "engine/linker/link_plan.h"

#include <algorithm>
#include <string>

namespace spolia::engine {

namespace {

constexpr std::string_view kMethodNames[] = {"full", "reuse", "first-k", "lego0", "prefix"};

// Rows at the front of a stored segment that the method computes.
uint32_t computedFront(const PlanSegment& segment, uint32_t position, LinkMethod method,
                       uint32_t k) {
  switch (method) {
    case LinkMethod::kFull:
      return segment.rows;
    case LinkMethod::kReuse:
    case LinkMethod::kLego0:
    case LinkMethod::kPrefix:
      return 0;
    case LinkMethod::kFirstK:
      return position == kBosRows ? 0 : std::min(k, segment.rows);
  }
  return segment.rows;
}

void computeRows(LinkPlan& plan, uint32_t begin, uint32_t end) {
  for (uint32_t position = begin; position < end; ++position) plan.computed.push_back(position);
}

// Takes the rows before `resident` out of the plan.
void leaveOut(LinkPlan& plan, uint32_t resident) {
  std::erase_if(plan.computed, [=](uint32_t position) { return position < resident; });
  for (LoadedRows& rows : plan.loaded) {
    if (rows.firstPosition + rows.rowBegin >= resident) continue;
    rows.rowBegin = std::min(rows.rowEnd, resident - rows.firstPosition);
  }
  std::erase_if(plan.loaded, [](const LoadedRows& rows) { return rows.rows() == 0; });
}

}  // namespace

std::string_view linkMethodName(LinkMethod method) {
  return kMethodNames[static_cast<size_t>(method)];
}

Result<LinkMethod> linkMethodFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(kMethodNames); ++i) {
    if (kMethodNames[i] == name) return static_cast<LinkMethod>(i);
  }
  return Status(
      ErrorCode::kInvalidArgument,
      "method '" + std::string(name) + "': expected full, reuse, first-k, lego0 or prefix");
}

std::string_view compileModeName(codec::CompileMode mode) {
  switch (mode) {
    case codec::CompileMode::kBos:
      return "bos";
    case codec::CompileMode::kLego0:
      return "lego0";
    case codec::CompileMode::kPrefix:
      return "prefix";
  }
  return "unknown";
}

Result<codec::CompileMode> compileModeFromName(std::string_view name) {
  for (const auto mode : {codec::CompileMode::kBos, codec::CompileMode::kLego0}) {
    if (compileModeName(mode) == name) return mode;
  }
  return Status(ErrorCode::kInvalidArgument,
                "compile mode '" + std::string(name) + "': expected bos or lego0");
}

LinkPlan makeLinkPlan(std::span<const PlanSegment> segments, LinkMethod method, uint32_t k,
                      uint32_t resident) {
  LinkPlan plan;
  uint32_t total = 0;
  for (const PlanSegment& segment : segments) total += segment.rows;
  for (size_t i = 0; i < segments.size(); ++i) {
    const PlanSegment& segment = segments[i];
    const uint32_t begin = plan.rows, end = begin + segment.rows;
    const uint32_t front = segment.stored ? computedFront(segment, begin, method, k) : segment.rows;
    const uint32_t loadedEnd = std::max(begin + front, std::min(end, total - 1));
    computeRows(plan, begin, begin + front);
    if (loadedEnd > begin + front) {
      plan.loaded.push_back({i, begin, front, loadedEnd - begin});
    }
    computeRows(plan, loadedEnd, end);
    plan.rows = end;
  }
  leaveOut(plan, resident);
  return plan;
}

}  // namespace spolia::engine
