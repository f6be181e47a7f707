// LastWords: removals of which no segment tells, durable in a small file beside the segments. A
// store without room in its segments keeps there what it would have written as tombstones.
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
  // At the opening, for each such file. kCorrupt for a damaged one, which goes with the next
  // write(); kUnsupported for a newer format; others when the disk does not say what it holds.
  Status load(Ring& ring, const std::string& name);

  // A word that counts, and is durable after the next write().
  void note(const LastWord& word);
  // Makes durable what was noted and, only if that goes well, `more`. Forgets what is older than
  // `oldest`, since nothing is left that it could be about. kOutOfSpace for more than `most` words.
  Status write(Ring& ring, const std::vector<LastWord>& more, uint64_t oldest, size_t most);
  // Something was noted since.
  bool unwritten() const { return unwritten_; }

  const std::unordered_map<StoreKey, uint64_t, DigestHash>& all() const { return words_; }
  // The highest number of any; 0: there is none.
  uint64_t latest() const;

 private:
  void dropFiles(Ring& ring, size_t kept);

  std::unordered_map<StoreKey, uint64_t, DigestHash> words_;
  std::vector<FileHandle> files_;
  uint32_t lastFile_ = 0;
  bool unwritten_ = false;
};

}  // namespace spolia::store
