// How much a store of chunks at its cap writes again to empty its segments: chunks asked for one
// after the other, put when they are not there. Counts from when three caps have been put (of a
// trace: one). Prints one JSON object.
//
//   moves_bench DIR --hot SHARE | --trace FILE [--one-open]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/numbered_keys.h"
#include "bench/policy/trace.h"
#include "server/store/store.h"

namespace spolia::bench {
namespace {

using nlohmann::json;
using store::StoreCompletion;

struct Options {
  std::string directory;
  std::string trace;
  std::string eviction = "value";
  double hot = 0.3;
  uint64_t record = 16 << 10;
  uint64_t capacity = 64 << 20;
  uint64_t segment = 1 << 20;
  uint64_t requests = 10000;  // that count
  bool oneOpen = false;
};

// Every second one of the hot set, the others never again.
class HotSet {
 public:
  HotSet(uint64_t chunks, uint64_t seed) : chunks_(chunks), random_(seed) {}
  uint64_t next() { return random_.below(2) == 0 ? random_.below(chunks_) : chunks_ + fresh_++; }

 private:
  const uint64_t chunks_;
  Random random_;
  uint64_t fresh_ = 0;
};

class Churn {
 public:
  Churn(store::Store& store, const Options& options) : store_(store), options_(options) {}

  Status ask(uint64_t number) {
    const StoreKey key = numberedKey(number);
    store_.submitGet(key, 0, store::kDiskBlock, 0, queue_);
    const StoreCompletion got = queue_.waitPop();
    ++asked_;
    if (got.status.ok()) ++hits_;
    if (got.status.code() != ErrorCode::kNotFound) return got.status;
    store::PutRequest put;
    put.meta.key = key;
    put.payload = AlignedBuffer::zeroed(options_.record);
    putBytes_ += options_.record;
    store_.submitPut(std::move(put), 0, queue_);
    return queue_.waitPop().status;
  }

  uint64_t putBytes() const { return putBytes_; }
  // What has been so far does not count.
  void begin() {
    asked_ = hits_ = putBytes_ = 0;
    movedBefore_ = store_.figures().movedBytes;
  }
  uint64_t asked() const { return asked_; }
  json report() const {
    const auto moved = static_cast<double>(store_.figures().movedBytes - movedBefore_);
    return {{"moved_per_put", moved / static_cast<double>(std::max<uint64_t>(1, putBytes_))},
            {"hit_share", static_cast<double>(hits_) / static_cast<double>(asked_)},
            {"put_bytes", putBytes_}};
  }

 private:
  store::Store& store_;
  const Options& options_;
  store::StoreQueue queue_;
  uint64_t asked_ = 0, hits_ = 0, putBytes_ = 0, movedBefore_ = 0;
};

Result<json> replay(Churn& churn, const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const Trace trace, readMooncake(options.trace));
  bool counts = false;
  for (const Request& request : trace.requests) {
    if (!counts && churn.putBytes() >= options.capacity) churn.begin(), counts = true;
    for (const Block& block : request.blocks) SPOLIA_RETURN_IF_ERROR(churn.ask(block.id));
  }
  if (!counts) return Status(ErrorCode::kInvalidArgument, options.trace + ": fits into the store");
  return churn.report();
}

Result<json> useHotSet(Churn& churn, const Options& options) {
  const auto chunks = static_cast<double>(options.capacity / (options.record + store::kDiskBlock));
  HotSet set(static_cast<uint64_t>(options.hot * chunks), 7);
  while (churn.putBytes() < 3 * options.capacity) SPOLIA_RETURN_IF_ERROR(churn.ask(set.next()));
  churn.begin();
  while (churn.asked() < options.requests) SPOLIA_RETURN_IF_ERROR(churn.ask(set.next()));
  return churn.report();
}

Result<json> run(const Options& options) {
  std::filesystem::remove_all(options.directory);
  store::StoreConfig config;
  config.directory = options.directory;
  config.capacityBytes = options.capacity;
  config.segmentBytes = options.segment;
  config.eviction = options.eviction;
  config.ack = store::AckMode::kMemory;
  if (!options.oneOpen) config.valuesAlike = [](const store::EntryMeta&) { return true; };
  SPOLIA_ASSIGN_OR_RETURN(auto store, store::Store::open(config));
  Churn churn(*store, options);
  return options.trace.empty() ? useHotSet(churn, options) : replay(churn, options);
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  using namespace spolia::bench;
  Options options;
  CLI::App app("What a store at its cap writes again to empty its segments");
  app.add_option("directory", options.directory, "of the store; made anew")->required();
  app.add_option("--trace", options.trace, "a trace in Mooncake's format; else a hot set");
  app.add_option("--hot", options.hot, "how much of the capacity the hot set takes")
      ->check(CLI::Range(0.01, 1.0));
  app.add_option("--eviction", options.eviction, "policy");
  app.add_option("--record", options.record, "payload bytes");
  app.add_option("--capacity", options.capacity, "bytes of the store");
  app.add_option("--segment", options.segment, "bytes of its files");
  app.add_option("--requests", options.requests, "that count, of a hot set");
  app.add_flag("--one-open", options.oneOpen, "one open segment, emptied in order of age");
  CLI11_PARSE(app, argc, argv);
  const auto result = run(options);
  std::filesystem::remove_all(options.directory);
  if (!result.ok()) {
    std::fprintf(stderr, "moves_bench: %s\n", result.status().message().c_str());
    return 1;
  }
  std::printf("%s\n", result->dump().c_str());
}
