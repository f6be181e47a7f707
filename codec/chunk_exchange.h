// The requests and completions by which streams and small values move between store, client and
// engine. TierSet (in process), QueuedClient (over RPC) and the engine's KvSource all speak these,
// so that one is as good as another. Value types; completions own their buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/base/aligned_buffer.h"
#include "codec/base/completion_queue.h"
#include "codec/base/result.h"
#include "codec/codec.h"

namespace spolia::codec {

// What a stored entry is. The numbers stand in records and on the wire.
enum class EntryKind : uint8_t {
  kChunk = 1,
  kEmbedding = 2,
  kProfile = 3,
  kManifest = 4,
  kOpaque = 5,
};

// "chunk", "embedding", "profile", "manifest", "opaque".
std::string_view entryKindName(EntryKind kind);

// Where bytes came from.
enum class Tier : uint8_t { kNone = 0, kMemory = 1, kDisk = 2, kCluster = 3 };

// What a store does when the id is there already.
enum class PutMode : uint8_t {
  kIfAbsent = 0,  // the first bytes stay; the completion says kExists
  kIfFiner = 1,   // replaced when the new stream has a finer preset or more levels
  kReplace = 2,   // replaced
};

// How something is put. A put of the same bytes with a later end prolongs what is there, whatever
// the mode.
struct PutOptions {
  PutOptions(PutMode how, uint64_t ttl = 0)
      : mode(how), ttlSeconds(ttl) {}  // NOLINT: a mode is one

  PutMode mode;
  uint64_t ttlSeconds;  // from when it is stored; 0: as long as the store's default is, or for ever
};

enum class PutOutcome : uint8_t { kStored = 0, kExists = 1, kReplaced = 2 };

// What lookup and list tell of an entry.
struct EntryInfo {
  ChunkId id;
  EntryKind kind = EntryKind::kChunk;
  uint64_t bytes = 0;                 // payload as stored
  uint32_t tokens = 0;                // chunks only
  Preset preset = Preset::kLossless;  // chunks only
  uint8_t levels = 0;                 // chunks only
  std::string label;                  // manifests: the document's name
  uint64_t expiresAt = 0;             // by the store's clock, seconds since 1970; 0: never
};

// A frame inside a completion's buffer.
struct FrameSlice {
  uint32_t index = 0;
  uint32_t offset = 0;
  uint32_t size = 0;
};

// The answer to one request; `cookie` is the request's.
//   open   header, and the same as stored (`bytes`, headerBytes of them), or kNotFound
//   fetch  frames (in `bytes`), header; kNotFound, kCorrupt (counted as a miss by callers)
//   store  outcome, info of what is there now
//   get    bytes (of any entry, as stored: a chunk gives its whole stream), info
//   remove kNotFound when there was nothing
struct ChunkCompletion {
  uint64_t cookie = 0;
  Status status;
  std::shared_ptr<const StreamHeader> header;
  std::vector<FrameSlice> frames;
  AlignedBuffer bytes;
  Tier tier = Tier::kNone;
  uint64_t bytesRead = 0;  // from the tier's medium, blocks and headers included
  PutOutcome outcome = PutOutcome::kStored;
  EntryInfo info;

  FrameBytes frame(size_t i) const {
    return {frames[i].index, bytes.span().subspan(frames[i].offset, frames[i].size)};
  }
};

using ChunkQueue = CompletionQueue<ChunkCompletion>;

// What a store of such a capacity would have had of what was asked for lately.
struct CapacityPoint {
  uint64_t capacityBytes = 0;
  double hitShare = 0;    // of the entries asked for
  double savedShare = 0;  // of the time that computing them takes
};

struct TenantUsage {
  std::string tenant;
  uint64_t entries = 0;
  uint64_t usedBytes = 0;
  uint64_t quotaBytes = 0;  // 0: none
  uint64_t evicted = 0;     // entries, since the server was started
};

// Figures of a store, for people and for `stats`.
struct StoreStats {
  std::string location;  // directory or address
  uint64_t entries = 0;
  uint64_t usedBytes = 0;      // live payload and record overhead
  uint64_t capacityBytes = 0;  // the configured cap
  uint64_t freeDiskBytes = 0;  // of the file system
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t corruptBlocks = 0;
  uint64_t differingPuts = 0;  // puts of an existing id with other bytes
  uint64_t bytesRead = 0;
  uint64_t bytesWritten = 0;
  std::string ioBackend;         // "io_uring", "pread"
  std::string readOnly;          // why nothing is written now; empty: it is
  uint64_t indexBytes = 0;       // files of the disk tier's index
  uint64_t evicted = 0;          // entries given up for others
  uint64_t expired = 0;          // entries whose time was over
  uint64_t leased = 0;           // entries that leases hold now
  uint64_t cleanedSegments = 0;  // emptied to be written again
  uint64_t movedBytes = 0;       // written again for that
  uint64_t scrubbedEntries = 0;  // read in search of damage
  // The tier above the disk.
  uint64_t memoryCapacityBytes = 0;     // 0: there is none
  uint64_t memoryUsedBytes = 0;         // bookkeeping included
  uint64_t memoryHits = 0;              // of the hits, those from memory alone
  uint64_t memoryServedBytes = 0;       // in those
  uint64_t memoryAdmittedBytes = 0;     // taken in because asked for again
  uint64_t memoryAheadBytes = 0;        // taken in before they were asked for
  uint64_t memoryEvictedBytes = 0;      // given up for others
  std::vector<CapacityPoint> capacity;  // ascending; empty before anything was asked for
  std::vector<TenantUsage> tenants;     // a server's: the asker's own, or all
};

// One page of a listing; pass `next` back to go on, empty at the end.
struct EntryPage {
  std::vector<EntryInfo> entries;
  std::string next;
};

}  // namespace spolia::codec
