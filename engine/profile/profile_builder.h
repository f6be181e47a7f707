// Makes a model's profile (codec/lossy/profile.h) from passages of text: samples their KV, measures
// how sensitive the model is to errors in each head, learns codes, bases and tables, and sets each
// preset's step so that the damage stays within a budget on the passages.
//
// Borrows model, transformer and pool. One thread; takes minutes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "codec/codec.h"
#include "codec/lossy/profile.h"
#include "engine/profile/judge.h"

namespace spolia::engine {

struct ProfileOptions {
  codec::Preset preset = codec::Preset::kBalanced;
  // Most bytes of the profile; codes and bases are cut to fit.
  uint64_t mostBytes = UINT64_MAX;
  uint32_t mostCodes = 128;  // and of `balanced` no more than it has time for, 96
  size_t judged = 32;        // passages whose continuations set the steps
  double mostKl = 0.0025;    // nats
  double leastTop1 = 0.973;
  uint64_t seed = 1;
};

// Called with what is being done now.
using ProfileProgress = std::function<void(const std::string&)>;

// kInvalidArgument for too few passages; kUnsupported for a model with more values a token than
// can be decomposed.
Result<codec::ProfileData> buildProfile(const Model& model, const Transformer& transformer,
                                        ThreadPool& pool, std::vector<Passage> passages,
                                        const ProfileOptions& options,
                                        const ProfileProgress& progress);

}  // namespace spolia::engine
