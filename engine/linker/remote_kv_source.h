// The remote form of KvSource: a spoliad, over RPC.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "codec/base/result.h"
#include "codec/chunk_identity.h"
#include "engine/linker/kv_source.h"

namespace spolia::engine {

struct RemoteKvConfig {
  std::string address;              // spolia://host:port
  std::filesystem::path tokenFile;  // credential; empty: none
  std::string modelName;            // under which the server keeps the descriptor
  codec::ModelDescriptor descriptor;
  uint64_t ttlSeconds = 0;  // of all that is stored through the source; 0: as the server says
};

// Connects and authenticates. kUnavailable when nobody answers, kPermissionDenied for a credential
// the server does not accept, kInvalidArgument naming the differing fields when the server knows
// another model by this name. A salted view has a connection of its own; a server that does not
// know salts fails its calls with kUnsupported.
Result<std::unique_ptr<SaltableKvSource>> openRemoteKvSource(const RemoteKvConfig& config);

}  // namespace spolia::engine
