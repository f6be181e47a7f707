// Removes all entries of a namespace, some at a time. One event loop.
#pragma once

#include <kj/async.h>

#include <optional>

#include "server/service/service_context.h"

namespace spolia::service {

// How many were removed, durably. What is put meanwhile may stay. Rejects at the first that cannot
// be removed. `service` outlives it.
kj::Promise<uint64_t> removeAll(ServiceContext& service, const tiers::Namespace& ns,
                                std::optional<codec::EntryKind> kind);

}  // namespace spolia::service
