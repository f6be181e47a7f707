// DemandCurve: what more room would give, or less: the shares of what is asked for that a store of
// another capacity would have, by MissRatioCurve over all that is asked for, there or not. What is
// absent counts as of mean size until it is stored.
//
// Owned by the Store; any thread. Two MiB at most.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "server/store/eviction/miss_ratio_curve.h"
#include "server/store/store_types.h"

namespace spolia::store {

class DemandCurve {
 public:
  // Of the capacity, entries may take `entryBytes`.
  DemandCurve(uint64_t capacityBytes, uint64_t entryBytes, const MissRatioCurveConfig& config = {})
      : capacityBytes_(capacityBytes), entryBytes_(entryBytes), curve_(config) {}

  // Somebody wants the payload: it is there, in a record of so many bytes; or it is not.
  void found(const StoreKey& key, uint64_t recordBytes, double recomputeSeconds);
  void missed(const StoreKey& key);
  void stored(const StoreKey& key, uint64_t recordBytes);

  // At half the capacity, at all of it, and at more. Empty before anything was asked for.
  std::vector<CapacityPoint> points() const;

 private:
  const uint64_t capacityBytes_;
  const uint64_t entryBytes_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  MissRatioCurve curve_;
  bool asked_ = false;
  double meanBytes_ = 0, meanSeconds_ = 0;  // of what was found
};

}  // namespace spolia::store
