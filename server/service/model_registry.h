// ModelRegistry: which model a name means, per tenant, kept in a small file beside the store. A
// name once registered keeps its descriptor, so that an engine whose weights, tokenizer or RoPE
// parameters changed under the same name is told so instead of reading another model's KV.
//
// Owned by the service; its event loop only.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "codec/chunk_identity.h"

namespace spolia::service {

class ModelRegistry {
 public:
  // The registry in that file, empty when there is none. kInvalidArgument naming file and line.
  static Result<ModelRegistry> load(const std::filesystem::path& path);

  enum class IfNew { kRegister, kRefuse };
  // The fingerprint of the descriptor when `name` is new (and was registered durably) or means the
  // same. kInvalidArgument when it means another, naming the fields that differ, or when the name
  // is malformed; kPermissionDenied when it is new and may not be registered; kResourceExhausted
  // when a tenant has too many.
  Result<ModelFingerprint> agree(std::string_view tenant, std::string_view name,
                                 const codec::ModelDescriptor& descriptor, IfNew ifNew);

  size_t size() const { return models_.size(); }

 private:
  explicit ModelRegistry(std::filesystem::path path) : path_(std::move(path)) {}
  Status save() const;

  using Name = std::pair<std::string, std::string>;  // tenant, model
  std::filesystem::path path_;
  std::map<Name, codec::ModelDescriptor> models_;
};

}  // namespace spolia::service
