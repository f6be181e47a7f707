// SPOLIA_CHECK (always on) and SPOLIA_DCHECK (debug builds): for our own mistakes only. Bytes from
// a disk, a network or a user never reach a check; they get a Status.
#pragma once

namespace spolia {

// Writes the failed condition to stderr and aborts.
[[noreturn]] void checkFailed(const char* condition, const char* file, int line);

}  // namespace spolia

#define SPOLIA_CHECK(condition) \
  ((condition) ? (void)0 : ::spolia::checkFailed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define SPOLIA_DCHECK(condition) ((void)sizeof(!(condition)))
#else
#define SPOLIA_DCHECK(condition) SPOLIA_CHECK(condition)
#endif
