// The codec's profiles that stored chunks name. A profile is an entry of the source under its own
// id: who stores chunks with a profile stores it too, who meets one it does not have fetches it.
// Sources keep profiles until they are removed by hand.
#pragma once

#include <deque>
#include <memory>

#include "codec/base/digest.h"
#include "codec/codec.h"
#include "codec/lossy/profile.h"
#include "engine/linker/kv_source.h"

namespace spolia::engine {

// Stores the profile that chunks of this preset are encoded with, unless it is there; nothing when
// they need none, or `profile` is null. Blocking. Errors are those of the source.
Status storeProfileOf(codec::Preset preset, const codec::Profile* profile, KvSource& source);

// Profiles at hand. Owned by a Linker; one thread.
class ChunkProfiles {
 public:
  // Fetched ones beyond so many replace the oldest: a source names what it likes.
  static constexpr size_t kMostFetched = 8;

  // `own`, which may be null, always stays.
  explicit ChunkProfiles(std::shared_ptr<const codec::Profile> own) : own_(std::move(own)) {}

  // Null when it is not at hand.
  std::shared_ptr<const codec::Profile> find(const Sha256Digest& id) const;
  // Takes what a source had under this id. kCorrupt when it is not that profile, and the errors of
  // Profile::parse().
  Status add(const Sha256Digest& id, ByteSpan bytes);

 private:
  const std::shared_ptr<const codec::Profile> own_;
  std::deque<std::shared_ptr<const codec::Profile>> fetched_;  // oldest first
};

}  // namespace spolia::engine
