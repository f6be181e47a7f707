// LastWords: removals of which no segment tells, durable in small files beside the segments: what a
// store without room in its segments would have written as tombstones, and what was said in
// segments that were emptied before older ones.
//
// A word says for good that whatever was written for its key up to its number is dead; so words of
// several files count together, and one too many does no harm. Kept by the SegmentTable; one
// thread, the store's I/O thread, which write() and load() block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "codec/base/bytes.h"
#include "codec/base/digest.h"
#include "codec/base/result.h"
#include "server/store/io/ring.h"

namespace spolia::store {

// "000001.words".
std::string wordsFileName(uint32_t number);
// Of such a name; nothing for any other.
std::optional<uint32_t> wordsFileNumber(const std::string& name);

// What a word takes in a file.
inline constexpr size_t kLastWordBytes = sizeof(StoreKey::bytes) + 8;

struct LastWord {
  StoreKey key;
  uint64_t sequence = 0;
};

// Whole blocks; server/store/FORMAT.md tells the bytes.
AlignedBuffer encodeLastWords(const std::vector<LastWord>& words);
// kCorrupt when they are not such; kUnsupported for a newer format.
Result<std::vector<LastWord>> parseLastWords(ByteSpan file);

class LastWords {
 public:
  // At the opening, for each such file. kCorrupt for a damaged one, which goes with a write() that
  // forgets anything; kUnsupported for a newer format; others when the disk does not say what it
  // holds.
  Status load(Ring& ring, const std::string& name);

  // Forgets what is older than `oldest`, since nothing is left that it could be about. Takes in all
  // of `more`, keys of which differ, durable then, or none: kOutOfSpace for more than `most` words
  // together.
  Status write(Ring& ring, const std::vector<LastWord>& more, uint64_t oldest, size_t most);

  const std::unordered_map<StoreKey, uint64_t, DigestHash>& all() const { return words_; }
  // The highest number of any; 0: there is none.
  uint64_t latest() const;

 private:
  struct File {
    FileHandle handle;
    uint64_t latest = 0;  // highest number in it
  };
  void note(const LastWord& word);
  void dropFiles(Ring& ring, uint64_t olderThan);

  std::unordered_map<StoreKey, uint64_t, DigestHash> words_;
  std::vector<File> files_;
  uint32_t lastFile_ = 0;
};

}  // namespace spolia::store
