#include "engine/linker/chunk_profiles.h"

#include <algorithm>

#include "codec/profile_entry.h"

namespace spolia::engine {

Status storeProfileOf(codec::Preset preset, const codec::Profile* profile, KvSource& source) {
  if (profile == nullptr || profile->transform(static_cast<uint8_t>(preset)) == nullptr) return {};
  const std::string name = "profile " + profile->id().hex();
  const Bytes bytes = codec::writeProfile(profile->data());
  if (sha256(bytes) != profile->id().bytes) {
    return Status(ErrorCode::kUnsupported, name + ": of a form that this build does not write");
  }
  codec::ChunkQueue queue;
  ValueToStore value;
  value.id = codec::profileEntryId(profile->id());
  value.kind = codec::EntryKind::kProfile;
  value.label = "profile of model " + profile->data().fingerprint.hex();
  value.bytes = AlignedBuffer::copyOf(bytes);
  source.submitPutValue(std::move(value), 0, queue);
  return queue.waitPop().status.withContext(name);
}

std::shared_ptr<const codec::Profile> ChunkProfiles::find(const Sha256Digest& id) const {
  if (own_ && own_->id() == id) return own_;
  const auto found =
      std::ranges::find(fetched_, id, [](const auto& profile) { return profile->id(); });
  return found == fetched_.end() ? nullptr : *found;
}

Status ChunkProfiles::add(const Sha256Digest& id, ByteSpan bytes) {
  SPOLIA_ASSIGN_OR_RETURN(std::shared_ptr<const codec::Profile> profile,
                          codec::parseProfileEntry(id, bytes));
  if (find(id)) return {};
  if (fetched_.size() == kMostFetched) fetched_.pop_front();
  fetched_.push_back(std::move(profile));
  return {};
}

}  // namespace spolia::engine
