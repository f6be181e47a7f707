#include "codec/entropy/simd_targets.h"

// Some code has a version of its own for AVX3_DL (AVX-512 as of Ice Lake and Zen 4).
#define HWY_WANT_AVX3_DL
#include <hwy/highway.h>

#include "codec/base/result.h"

namespace spolia::codec {
namespace {

// 0 lifts the restriction.
void restrictTo(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace

std::vector<std::string> simdTargets() {
  std::vector<std::string> out;
  const int64_t all = hwy::SupportedTargets() & HWY_TARGETS;
  // A lower bit is a better target.
  for (int64_t rest = all; rest != 0; rest &= rest - 1) {
    out.emplace_back(hwy::TargetName(rest & -rest));
  }
  return out;
}

ForcedSimdTarget::ForcedSimdTarget(std::string_view name) {
  for (int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    if (name == hwy::TargetName(rest & -rest)) {
      const int64_t target = rest & -rest;
      // What has no version for AVX3_DL runs as on AVX3.
      restrictTo(target == HWY_AVX3_DL ? HWY_AVX3_DL | HWY_AVX3 : target);
      return;
    }
  }
  SPOLIA_CHECK(!"a target that does not run here");
}

ForcedSimdTarget::~ForcedSimdTarget() {
  restrictTo(0);
}

}  // namespace spolia::codec
