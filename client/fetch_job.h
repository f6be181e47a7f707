// FetchJob: the items of one fetch (or the one of a getValue) and what has come of each. It
// outlives a connection: what is not answered when one breaks is asked again on the next. One event
// loop.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "client/protocol/spolia.capnp.h"
#include "codec/chunk_exchange.h"

namespace spolia::client {

class HeaderCache;

struct FetchItem {
  ChunkId id;
  codec::KvRange range;
  // Called once, on the client's event loop; must not throw.
  std::function<void(codec::ChunkCompletion)> done;
};

class FetchJob {
 public:
  // `headers` outlives the job.
  FetchJob(std::vector<FetchItem> items, HeaderCache& headers);
  // What is not answered by then is answered with kCancelled.
  ~FetchJob();
  FetchJob(const FetchJob&) = delete;
  FetchJob& operator=(const FetchJob&) = delete;

  // Items without an answer, by index.
  std::vector<size_t> open() const;
  const FetchItem& item(size_t index) const { return items_[index]; }
  void answer(size_t index, codec::ChunkCompletion completion);
  // Answers all that are open.
  void fail(const Status& status);
  HeaderCache& headers() { return headers_; }

 private:
  std::vector<FetchItem> items_;
  std::vector<bool> answered_;
  HeaderCache& headers_;
};

// A sink for the server that puts parts together; spec i is the job's item specs[i]. Values have
// neither frames nor header.
enum class SinkOf { kFrames, kValue };
protocol::FetchSink::Client makeSink(std::shared_ptr<FetchJob> job, std::vector<size_t> specs,
                                     SinkOf what);

}  // namespace spolia::client
