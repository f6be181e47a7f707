// ExtentReader: ranges of a value, whether it is one record or in extents. A PayloadReader reads
// each record; what several of them gave is put together, at the price of a copy. Owned and used by
// the tier thread alone.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "server/tiers/extents.h"
#include "server/tiers/payload_reader.h"

namespace spolia::tiers {

// As the index told.
struct ValueSource {
  StoreKey key;
  uint64_t version = 0;
  uint64_t bytes = 0;  // of all of it
  std::optional<Extents> extents;
};

struct ValueRead : PayloadRead {
  bool incomplete = false;  // an extent is not there
};

class ExtentReader {
 public:
  using Answer = std::function<void(uint64_t cookie, ValueRead)>;
  using Interest = PayloadReader::Interest;

  // Cookies are below this.
  static constexpr uint64_t kCookies = uint64_t{1} << 63;

  // As PayloadReader's.
  ExtentReader(store::Store& store, MemoryTier& memory, Answer answer);
  ExtentReader(const ExtentReader&) = delete;
  ExtentReader& operator=(const ExtentReader&) = delete;

  // As PayloadReader::read. `incomplete` comes with kNotFound; the entry may be another by then.
  void read(const ValueSource& source, const std::vector<PayloadRange>& ranges, Interest interest,
            uint64_t cookie, Deadline deadline = kNoDeadline);
  void readAhead(const ValueSource& source);
  // What memory holds of it is not to be used again.
  void drop(const ValueSource& source);

  int eventFd() const { return payloads_.eventFd(); }
  std::chrono::nanoseconds left() const { return payloads_.left(); }
  void drain() { payloads_.drain(); }
  bool idle() const { return payloads_.idle(); }

 private:
  // Of one extent.
  struct Part {
    uint32_t number = 0;
    PayloadSource source;
    std::vector<PayloadRange> ranges;  // within it
    uint64_t length = 0;               // of these
  };
  struct Job {
    uint64_t cookie = 0;
    size_t readsLeft = 0;
    ValueRead answer;
  };
  struct Place {
    uint64_t job = 0;
    uint64_t offset = 0;  // in its answer
  };

  Result<std::vector<Part>> partsOf(const ValueSource& source,
                                    const std::vector<PayloadRange>& ranges) const;
  Result<std::optional<PayloadSource>> extentOf(const ValueSource& source, uint32_t number) const;
  void noteUse(const ValueSource& source, const std::vector<Part>& read);
  void onRead(uint64_t cookie, PayloadRead read);
  void fail(uint64_t cookie, Status status);

  store::Store& store_;
  MemoryTier& memory_;
  const Answer answer_;
  PayloadReader payloads_;
  std::unordered_map<uint64_t, Job> jobs_;
  std::unordered_map<uint64_t, Place> places_;  // by PayloadReader's cookie
  uint64_t nextJob_ = 0;
  uint64_t nextPart_ = kCookies;
};

}  // namespace spolia::tiers
