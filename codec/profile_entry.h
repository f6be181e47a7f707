// Profiles as entries of a store: what they are kept under, and how they are taken from there. Any
// thread.
#pragma once

#include <memory>

#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "codec/lossy/profile.h"

namespace spolia::codec {

// What a store has a profile under.
ChunkId profileEntryId(const Sha256Digest& profile);

// What a store had there. kCorrupt when it is another profile; the errors of Profile::parse().
Result<std::shared_ptr<const Profile>> parseProfileEntry(const Sha256Digest& id, ByteSpan bytes);

}  // namespace spolia::codec
