#include "client/library/profile_cache.h"

#include <algorithm>
#include <utility>

#include "codec/profile_entry.h"

namespace spolia::client {
namespace {

codec::ChunkCompletion failure(const Status& why) {
  codec::ChunkCompletion out;
  out.status = why;
  return out;
}

}  // namespace

FetchedProfile::FetchedProfile(const Sha256Digest& id, codec::ChunkCompletion answer)
    : id_(id), answer_(std::move(answer)), failed_(!answer_.status.ok()) {}

Result<FetchedProfile::Profile> FetchedProfile::parse() const {
  SPOLIA_RETURN_IF_ERROR(answer_.status);
  return codec::parseProfileEntry(id_, answer_.bytes.span());
}

Result<FetchedProfile::Profile> FetchedProfile::parsed() {
  std::lock_guard lock(mutex_);
  if (parsed_) return *parsed_;
  Result<Profile> profile = parse();
  if (!profile.ok()) profile = profile.status().withContext("profile " + id_.hex());
  failed_ = !profile.ok();
  answer_.bytes = {};
  parsed_ = std::move(profile);
  return *parsed_;
}

uint64_t ProfileCache::find(const Sha256Digest& id, Ready ready) {
  uint64_t number = 0;
  bool first = false;
  Fetched found;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(kept_, [](const Fetched& one) { return one->failed(); });
    const auto at = std::ranges::find(kept_, id, [](const Fetched& one) { return one->id(); });
    if (at != kept_.end()) {
      found = *at;
      std::rotate(at, at + 1, kept_.end());
    } else {
      number = next_++;
      // There without waiters, too: they gave up, and the answer is still to come.
      const auto [asked, fresh] = waiting_.try_emplace(id);
      asked->second[number] = std::move(ready);
      first = fresh;
    }
  }
  if (found != nullptr) {
    ready(std::move(found));
  } else if (first) {
    get_(codec::profileEntryId(id),
         [this, id](codec::ChunkCompletion answer) { take(id, std::move(answer)); });
  }
  return number;
}

void ProfileCache::take(const Sha256Digest& id, codec::ChunkCompletion answer) {
  const auto fetched = std::make_shared<FetchedProfile>(id, std::move(answer));
  std::map<uint64_t, Ready> waiting;
  {
    std::lock_guard lock(mutex_);
    if (!fetched->failed()) kept_.push_back(fetched);
    if (kept_.size() > kMostKept) kept_.pop_front();
    waiting = std::move(waiting_.extract(id).mapped());
  }
  for (const auto& [number, ready] : waiting) ready(fetched);
}

void ProfileCache::giveUp(uint64_t number, const Status& why) {
  Ready ready;
  Sha256Digest id;
  {
    std::lock_guard lock(mutex_);
    for (auto& [asked, waiting] : waiting_) {
      auto one = waiting.extract(number);
      if (one.empty()) continue;
      ready = std::move(one.mapped());
      id = asked;
    }
  }
  if (ready != nullptr) ready(std::make_shared<FetchedProfile>(id, failure(why)));
}

}  // namespace spolia::client
