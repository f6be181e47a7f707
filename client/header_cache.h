// HeaderCache: parsed headers of chunks that were read lately, so that reading a chunk layer by
// layer transfers its header once. Bounded; the least recently used goes. One event loop.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "codec/codec.h"

namespace spolia::client {

class HeaderCache {
 public:
  explicit HeaderCache(size_t capacity) : capacity_(capacity) {}

  using Header = std::shared_ptr<const codec::StreamHeader>;
  // Null when it is not there.
  Header find(const ChunkId& id);
  void put(const ChunkId& id, Header header);
  void erase(const ChunkId& id);

 private:
  struct Entry {
    ChunkId id;
    Header header;
  };
  const size_t capacity_;
  std::list<Entry> recent_;  // the latest first
  std::unordered_map<ChunkId, std::list<Entry>::iterator, DigestHash> byId_;
};

}  // namespace spolia::client
