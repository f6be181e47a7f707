// SegmentTable: the segment files of a store, how much of each is live, and which may be written
// next. Bookkeeping only, no I/O but that of its words. One thread, the store's I/O thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "server/store/io/ring.h"
#include "server/store/segments/last_words.h"
#include "server/store/store_types.h"

namespace spolia::store {

struct Segment {
  SegmentId id;
  FileHandle file;
  Generation generation;
  uint64_t size = 0;
  uint64_t end = kDiskBlock;  // where the next record goes
  uint64_t zeroedTo = 0;      // fresh files only: written with zeros up to here; 0: not fresh
  uint64_t liveBytes = 0;     // of records the index names
  // Records since the generation began that alone tell that an older record of their key is dead:
  // tombstones, and what was evicted unless such a record may come back.
  uint64_t tombstones = 0;
  uint64_t markedTo = 0;  // how far the index knows of it; 0: it has no mark
  // Of a segment that recovery could not read to its end, and whose mark it therefore left alone:
  // the last number before that mark. 0: of others.
  uint64_t markedSequence = 0;
  uint64_t firstSequence = 0;   // of what was ever written to it; 0: nothing
  uint64_t lastSequence = 0;    // of what was acknowledged or recovered
  uint32_t pins = 0;            // reads and writes under way
  uint32_t unacknowledged = 0;  // writes among those
  bool bad = false;             // an access failed: never written again
  bool cleaned = false;         // what its tombstones say stands elsewhere
  bool doubtful = false;        // may hold records that recovery could not see

  uint64_t room() const { return bad || end > size ? 0 : size - end; }
};

// For each of these one segment is being filled, so that what lives about as long dies together.
enum class OpenFor : uint8_t { kPuts, kMoves };

class SegmentTable {
 public:
  void add(const Segment& segment) { segments_.push_back(segment); }
  // Its file is gone.
  void erase(SegmentId id);

  // Null when there is none of that number (and, second form, that generation).
  Segment* find(SegmentId id);
  Segment* find(const RecordAddress& address);
  std::vector<Segment>& all() { return segments_; }
  const std::vector<Segment>& all() const { return segments_; }

  // The segment that is being filled; null where none is.
  Segment* active(OpenFor what);
  const Segment* active(OpenFor what) const;
  void setActive(OpenFor what, SegmentId id) { active_[static_cast<size_t>(what)] = id; }
  void clearActive(OpenFor what) { active_[static_cast<size_t>(what)].reset(); }

  // The index began, or ceased, to name a record.
  void live(const RecordAddress& address);
  void dead(const RecordAddress& address);

  // A segment in which nothing is needed any more: no live record, nobody reading, and no tombstone
  // that an older segment could need. Null when there is none.
  Segment* reusable();
  size_t reusableCount() const;
  // Nothing in any other segment is older than what was acknowledged in this one.
  bool oldest(const Segment& segment) const;
  // Some segment is empty and free as soon as nobody reads in it.
  bool waitsForReaders() const;
  // The sealed segment to be emptied next, of those whose live records fit into `room`: the one
  // that was begun first; when none fits, the one with the fewest live bytes. Null when there is
  // none. After cleanCheapest(most): the one that has least to be written again, as long as that
  // takes the words to no more than `most`.
  Segment* nextToClean(uint64_t room);
  void cleanCheapest(size_t mostWords) { mostWords_ = mostWords; }
  // Ends the segment that is being filled with moves when most of those words are there and nothing
  // else is older: they could not be forgotten otherwise.
  void sealIfOldest();
  // What no segment says, and counts all the same.
  LastWords& words() { return words_; }
  const LastWords& words() const { return words_; }
  // Something could not be read at the opening and may say more than is known.
  void setUnseen() { unseen_ = true; }
  // The least number of anything in any segment; 0 where that is not known.
  uint64_t oldestSequence() const;
  SegmentId nextId() const;
  uint64_t liveBytes() const;
  // Some segment may hold records of keys that the index does not know.
  bool doubtful() const;
  // Some entry may have been evicted, and come back with an index that is rebuilt: not all that
  // stands in the segments is live.
  bool mayHoldEvicted() const;

 private:
  // What is the same for all segments in asking whether one can be reused.
  struct Outlook {
    bool unseen = false;  // nobody knows how old what is hidden in some segment is
    uint64_t first = UINT64_MAX, second = UINT64_MAX;  // least numbers of what segments begin with
  };
  Outlook outlook() const;
  static bool oldest(const Segment& segment, const Outlook& outlook);
  bool isReusable(const Segment& segment, const Outlook& outlook) const;
  bool isActive(SegmentId id) const;
  bool isSealed(const Segment& segment, const Outlook& outlook) const;
  uint64_t wordsOf(const Segment& segment, const Outlook& outlook) const;

  std::vector<Segment> segments_;
  LastWords words_;
  size_t mostWords_ = 0;
  bool unseen_ = false;
  std::array<std::optional<SegmentId>, 2> active_;  // by OpenFor
};

}  // namespace spolia::store
