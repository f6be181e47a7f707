// The eviction policies by the names used in configurations.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "server/store/eviction/eviction_policy.h"
#include "server/store/eviction/gdsf_policy.h"
#include "server/store/eviction/s3_fifo_policy.h"
#include "server/store/eviction/value_policy.h"

namespace spolia::store {

// Each policy reads its own part.
struct PolicyParams {
  S3FifoParams s3Fifo;
  GdsfCost gdsfCost = GdsfCost::kSeconds;
  ValueParams value;
};

// "lru", "arc", "s3-fifo", "gdsf", "value".
const std::vector<std::string_view>& policyNames();

// kInvalidArgument for a name that is none of them.
Result<std::unique_ptr<EvictionPolicy>> makePolicy(std::string_view name, uint64_t capacityBytes,
                                                   const PolicyParams& params = {});

}  // namespace spolia::store
