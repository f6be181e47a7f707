// Loads on our store: so many operations in flight, from one thread. One thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "bench/store/numbered_records.h"
#include "server/store/store.h"

namespace spolia::bench {

// `io` or nothing: a figure of another step of the ladder would be taken for this one's.
Result<std::unique_ptr<store::Store>> openStore(const std::string& directory,
                                                uint64_t capacityBytes, uint64_t segmentBytes,
                                                store::IoBackend io);

// Payloads are made before the clock starts, a GiB at a time.
Result<Load> putAll(store::Store& store, const NumberedRecords& records, uint64_t first,
                    uint64_t count, uint64_t depth);
// The rate is taken up to where the last read is started, as fio takes it when it replays a log.
Result<Load> getAll(store::Store& store, const NumberedRecords& records,
                    std::span<const uint64_t> numbers, uint64_t depth);

// The records' places as fio replays them (its I/O log, version 2), from the index of a store that
// is closed.
Result<std::string> fioLog(const std::string& directory, std::span<const uint64_t> numbers);

}  // namespace spolia::bench
