#include "codec/profile_entry.h"

namespace spolia::codec {

ChunkId profileEntryId(const Sha256Digest& profile) {
  ChunkId id;
  id.bytes = profile.bytes;
  return id;
}

Result<std::shared_ptr<const Profile>> parseProfileEntry(const Sha256Digest& id, ByteSpan bytes) {
  SPOLIA_ASSIGN_OR_RETURN(std::shared_ptr<const Profile> profile, Profile::parse(bytes));
  if (profile->id() != id) return Status(ErrorCode::kCorrupt, "stored under this id, but another");
  return profile;
}

}  // namespace spolia::codec
