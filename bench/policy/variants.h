// The policies of a comparison with the parameters tried for each.
#pragma once

#include <string>
#include <vector>

#include "bench/policy/replay.h"
#include "server/store/eviction/policy_factory.h"

namespace spolia::bench {

struct Variant {
  std::string policy;  // as makePolicy knows it
  std::string label;   // its parameters, for people
  Order order = Order::kHeadFirst;
  store::PolicyParams params;
};

// `smoke`: one or two a policy.
std::vector<Variant> variants(bool smoke);

}  // namespace spolia::bench
