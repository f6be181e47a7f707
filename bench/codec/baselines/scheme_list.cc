#include "bench/codec/baselines/scheme_list.h"

#include <algorithm>

#include "bench/codec/baselines/cachegen_paper_scheme.h"
#include "bench/codec/baselines/cachegen_released_scheme.h"
#include "bench/codec/baselines/kivi_scheme.h"
#include "bench/codec/baselines/kvtc_scheme.h"
#include "bench/codec/baselines/min_max_scheme.h"
#include "bench/codec/baselines/profile_scheme.h"
#include "bench/codec/baselines/stream_scheme.h"
#include "bench/codec/baselines/zstd_scheme.h"

namespace spolia::bench {

using codec::ElementType;
using codec::Preset;

std::vector<std::unique_ptr<Scheme>> allSchemes(const Profiles& profiles) {
  std::vector<std::unique_ptr<Scheme>> out;
  for (const ElementType type : {ElementType::kF16, ElementType::kBf16}) {
    out.push_back(std::make_unique<StreamScheme>(Preset::kLossless, type));
    out.push_back(std::make_unique<ZstdScheme>(type, ZstdScheme::Order::kPlain));
    out.push_back(std::make_unique<ZstdScheme>(type, ZstdScheme::Order::kBytePlanes));
  }
  for (const Preset preset : {Preset::kHigh, Preset::kBalanced, Preset::kSmall}) {
    out.push_back(std::make_unique<StreamScheme>(preset, ElementType::kF16));
  }
  for (const auto& profile : profiles) {
    for (const codec::ProfileTransform& transform : profile->data().transforms) {
      for (const auto form : {ProfileScheme::Form::kWhole, ProfileScheme::Form::kOneLevel,
                              ProfileScheme::Form::kCoarse}) {
        out.push_back(
            std::make_unique<ProfileScheme>(profile, static_cast<Preset>(transform.preset), form));
      }
    }
  }
  for (const unsigned bits : {8u, 4u}) out.push_back(std::make_unique<MinMaxScheme>(bits));
  out.push_back(std::make_unique<KiviScheme>(KiviScheme::Residual::kAsPublished));
  out.push_back(std::make_unique<KiviScheme>(KiviScheme::Residual::kNone));
  out.push_back(std::make_unique<CacheGenPaperScheme>());
  out.push_back(std::make_unique<CacheGenReleasedScheme>());
  out.push_back(std::make_unique<KvtcScheme>(KvtcScheme::Form::kAsPublished));
  out.push_back(std::make_unique<KvtcScheme>(KvtcScheme::Form::kKind));
  return out;
}

Result<std::vector<std::unique_ptr<Scheme>>> schemesNamed(std::string_view list,
                                                          const Profiles& profiles) {
  std::vector<std::unique_ptr<Scheme>> all = allSchemes(profiles), out;
  if (list.empty()) return all;
  std::string known;
  for (const auto& scheme : all) known += (known.empty() ? "" : ", ") + scheme->name();
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    const auto at =
        std::ranges::find_if(all, [&](const auto& scheme) { return scheme->name() == name; });
    if (at == all.end()) {
      return Status(ErrorCode::kInvalidArgument,
                    "scheme '" + std::string(name) + "', expected each once of " + known);
    }
    out.push_back(std::move(*at));
    all.erase(at);
  }
  return out;
}

}  // namespace spolia::bench
