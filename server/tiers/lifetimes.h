// When what is put expires. Value type; any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/chunk_exchange.h"
#include "server/store/lifetime/store_clock.h"

namespace spolia::tiers {

// What an operator says of lifetimes, in seconds; 0: nothing. Profiles are outside of it, since
// streams that outlive theirs could not be read.
struct Lifetimes {
  uint64_t defaultSeconds = 0;  // of what is put without a time
  uint64_t maxSeconds = 0;      // of everything that is put
};

// What a put asked for: so many seconds from now, or until then by the store's time; 0: neither.
struct AskedLifetime {
  uint64_t ttlSeconds = 0;
  uint64_t expiresAt = 0;
};

// In seconds of the store's time; 0: never.
inline uint64_t expiryOf(const Lifetimes& rules, codec::EntryKind kind, const AskedLifetime& asked,
                         const store::StoreClock& clock) {
  const bool ruled = kind != codec::EntryKind::kProfile;
  uint64_t at = asked.expiresAt;
  if (asked.ttlSeconds != 0) at = clock.secondsAfter(asked.ttlSeconds);
  if (at == 0 && ruled && rules.defaultSeconds != 0) at = clock.secondsAfter(rules.defaultSeconds);
  if (!ruled || rules.maxSeconds == 0) return at;
  const uint64_t most = clock.secondsAfter(rules.maxSeconds);
  return at == 0 ? most : std::min(at, most);
}

// Whether putting the same bytes again is worth writing them: they would live longer by an eighth
// of what they have from now on, or for ever.
inline bool prolongs(uint64_t expiresAt, uint64_t presentExpiresAt, uint64_t nowSeconds) {
  if (presentExpiresAt == 0) return false;
  if (expiresAt == 0) return true;
  const uint64_t lifetime = expiresAt - std::min(expiresAt, nowSeconds);
  return expiresAt > presentExpiresAt && expiresAt - presentExpiresAt >= lifetime / 8;
}

}  // namespace spolia::tiers
