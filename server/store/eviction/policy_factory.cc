#include "server/store/eviction/policy_factory.h"

#include <string>

#include "server/store/eviction/arc_policy.h"
#include "server/store/eviction/lru_policy.h"

namespace spolia::store {

const std::vector<std::string_view>& policyNames() {
  static const std::vector<std::string_view> names = {"lru", "arc", "s3-fifo", "gdsf", "value"};
  return names;
}

Result<std::unique_ptr<EvictionPolicy>> makePolicy(std::string_view name, uint64_t capacityBytes,
                                                   const PolicyParams& params) {
  std::unique_ptr<EvictionPolicy> policy;
  if (name == "lru") policy = std::make_unique<LruPolicy>(capacityBytes);
  if (name == "arc") policy = std::make_unique<ArcPolicy>(capacityBytes);
  if (name == "s3-fifo") policy = std::make_unique<S3FifoPolicy>(capacityBytes, params.s3Fifo);
  if (name == "gdsf") policy = std::make_unique<GdsfPolicy>(capacityBytes, params.gdsfCost);
  if (name == "value") policy = std::make_unique<ValuePolicy>(capacityBytes, params.value);
  if (policy) return policy;
  std::string expected;
  for (const std::string_view known : policyNames()) expected.append(" ").append(known);
  return Status(ErrorCode::kInvalidArgument,
                "eviction policy '" + std::string(name) + "': expected one of" + expected);
}

}  // namespace spolia::store
