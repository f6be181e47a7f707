// ProfileCache: the codec's profiles that a handle's chunks name. One that is not at hand is asked
// for once, however many wait for it; the latest used eight are kept.
//
// Threads: any. Waiters are called on the thread of whoever answers or gives up, and neither wait
// nor throw; parsing, which takes long, is for the threads that decode.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "client/queued_client.h"
#include "codec/lossy/profile.h"

namespace spolia::client {

// What the server answered when it was asked for a profile.
class FetchedProfile {
 public:
  using Profile = std::shared_ptr<const codec::Profile>;

  FetchedProfile(const Sha256Digest& id, codec::ChunkCompletion answer);
  // Who asks first computes, others wait for that. kNotFound when the server has none, kCorrupt
  // when it is another than was asked for; every failure names the profile.
  Result<Profile> parsed();

  const Sha256Digest& id() const { return id_; }
  // Known to be of no use.
  bool failed() const { return failed_; }

 private:
  Result<Profile> parse() const;

  const Sha256Digest id_;
  std::mutex mutex_;
  codec::ChunkCompletion answer_;
  std::optional<Result<Profile>> parsed_;
  std::atomic<bool> failed_;
};

class ProfileCache {
 public:
  static constexpr size_t kMostKept = 8;

  // Asks the server for an entry; answered once, on any thread.
  using Get = std::function<void(const ChunkId&, QueuedClient::Done)>;
  // `get`'s answers have come before the cache goes.
  explicit ProfileCache(Get get) : get_(std::move(get)) {}

  using Ready = std::function<void(std::shared_ptr<FetchedProfile>)>;
  // Calls `ready` once: at once, and gives 0, when the profile is at hand; else when the server has
  // answered or it was given up under the number that is returned.
  uint64_t find(const Sha256Digest& id, Ready ready);
  // Calls who still waits under this number with that failure. The answer is still taken: the next
  // who asks may find it.
  void giveUp(uint64_t number, const Status& why);

 private:
  using Fetched = std::shared_ptr<FetchedProfile>;
  void take(const Sha256Digest& id, codec::ChunkCompletion answer);

  const Get get_;
  std::mutex mutex_;
  std::deque<Fetched> kept_;  // the latest used last
  uint64_t next_ = 1;
  std::map<Sha256Digest, std::map<uint64_t, Ready>> waiting_;  // for what was asked for
};

}  // namespace spolia::client
