#include "bench/store/store_load.h"

#include <algorithm>
#include <optional>
#include <set>

#include "bench/process_figures.h"
#include "server/store/index/rocks_index.h"
#include "server/store/recovery.h"

namespace spolia::bench {
namespace {

using store::Store;
using store::StoreCompletion;
using store::StoreQueue;

// Keeps `depth` operations in flight: `submit` starts the i-th, `done` judges a completion.
template <typename Submit, typename Done>
Status keepInFlight(uint64_t count, uint64_t depth, StoreQueue& queue, Submit&& submit,
                    Done&& done) {
  Status status;
  uint64_t started = 0, finished = 0;
  while (started < std::min(count, depth)) submit(started++);
  while (finished < started) {
    const StoreCompletion completion = queue.waitPop();
    ++finished;
    if (Status judged = done(completion); !judged.ok()) status = std::move(judged);
    if (started < count && status.ok()) submit(started++);
  }
  return status;
}

Status putPrepared(Store& store, std::vector<store::PutRequest> puts, uint64_t depth) {
  StoreQueue queue;
  return keepInFlight(
      puts.size(), depth, queue, [&](uint64_t i) { store.submitPut(std::move(puts[i]), i, queue); },
      [](const StoreCompletion& completion) { return completion.status; });
}

}  // namespace

Result<std::unique_ptr<Store>> openStore(const std::string& directory, uint64_t capacityBytes,
                                         uint64_t segmentBytes, store::IoBackend io) {
  store::StoreConfig config;
  config.directory = directory;
  config.capacityBytes = capacityBytes;
  config.segmentBytes = segmentBytes;
  config.io = io;
  config.eviction = "lru";
  config.valuesAlike = [](const store::EntryMeta&) { return true; };  // as of chunks
  return Store::open(config);
}

Result<Load> putAll(Store& store, const NumberedRecords& records, uint64_t first, uint64_t count,
                    uint64_t depth) {
  Load load;
  for (const uint64_t end = first + count; first < end;) {
    std::vector<store::PutRequest> puts;
    for (uint64_t bytes = 0; first < end && bytes < NumberedRecords::kPrepared; ++first) {
      store::PutRequest put;
      put.meta.key = numberedKey(first);
      put.payload = records.payload(first);
      bytes += put.payload.size();
      load.bytes += put.payload.size();
      puts.push_back(std::move(put));
    }
    load.operations += puts.size();
    const double begin = now(), cpu = cpuSeconds();
    SPOLIA_RETURN_IF_ERROR(putPrepared(store, std::move(puts), depth));
    load.seconds += now() - begin;
    load.cpuSeconds += cpuSeconds() - cpu;
  }
  load.bytesPerSecond = static_cast<double>(load.bytes) / load.seconds;
  return load;
}

Result<Load> getAll(Store& store, const NumberedRecords& records, std::span<const uint64_t> numbers,
                    uint64_t depth) {
  Load load;
  StoreQueue queue;
  const double begin = now(), cpu = cpuSeconds();
  const auto submit = [&](uint64_t i) {
    const bool last = i + 1 == numbers.size();
    if (last) load.bytesPerSecond = static_cast<double>(load.bytes) / (now() - begin);
    store.submitGet(numberedKey(numbers[i]), 0, UINT64_MAX, i, queue);
  };
  const auto done = [&](const StoreCompletion& completion) {
    if (!completion.status.ok()) return completion.status;
    load.bytes += completion.dataLength;
    if (records.matches(numbers[completion.cookie], completion.range())) return Status();
    return Status(ErrorCode::kCorrupt, "another record than the one asked for");
  };
  SPOLIA_RETURN_IF_ERROR(keepInFlight(numbers.size(), depth, queue, submit, done));
  load.operations = numbers.size();
  load.seconds = now() - begin;
  load.cpuSeconds = cpuSeconds() - cpu;
  return load;
}

Result<std::string> fioLog(const std::string& directory, std::span<const uint64_t> numbers) {
  SPOLIA_ASSIGN_OR_RETURN(auto index, store::openRocksIndex({directory + "/index"}));
  std::set<std::string> files;
  std::string reads;
  for (const uint64_t number : numbers) {
    SPOLIA_ASSIGN_OR_RETURN(const auto entry, index->find(numberedKey(number)));
    if (!entry) return Status(ErrorCode::kNotFound, "record " + std::to_string(number));
    const std::string file =
        directory + "/segments/" + store::segmentFileName(entry->address.segment);
    files.insert(file);
    reads.append(file).append(" read ").append(std::to_string(entry->address.offset));
    reads.append(" ").append(std::to_string(entry->address.length)).append("\n");
  }
  std::string log = "fio version 2 iolog\n";
  for (const std::string& file : files) log.append(file).append(" add\n");
  for (const std::string& file : files) log.append(file).append(" open\n");
  log.append(reads);
  for (const std::string& file : files) log.append(file).append(" close\n");
  return log;
}

}  // namespace spolia::bench
