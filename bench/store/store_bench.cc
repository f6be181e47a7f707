// Figures of the store and of RocksDB's blob files, one step a process; store_figures.py puts them
// together with fio's. Each step prints one JSON object.
//
//   store_bench write DIR --first F --count N   acknowledged when durable, `depth` in flight
//   store_bench read DIR --first F --end E --count N --seed S   at random
//   store_bench places DIR --first F --end E --count N --seed S   where they are: fio's log
//   store_bench window --end E --keep B   the first of the last records that have so many bytes
//   store_bench scrub DIR   reads every entry once
//   store_bench rebuild DIR   opens it without its index
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <spdlog/spdlog.h>

#include "bench/process_figures.h"
#include "bench/store/blob_db_load.h"
#include "bench/store/store_load.h"
#include "server/store/scrubber.h"

namespace spolia::bench {
namespace {

using nlohmann::json;

struct Options {
  std::string directory;
  uint64_t record = 0;
  uint64_t capacity = 2ull << 30;
  uint64_t segment = 256 << 20;
  uint64_t first = 0, end = 1, count = 1;
  uint64_t depth = 8;
  uint64_t seed = 1;
  uint64_t keep = 1ull << 30;
  bool blobDb = false;
  bool pread = false;

  store::IoBackend io() const {
    return pread ? store::IoBackend::kPread : store::IoBackend::kUring;
  }
};

// Bytes of all files below, as far as they take room.
uint64_t diskBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (file.is_regular_file()) bytes += file.file_size();
  }
  return bytes;
}

json report(const Load& load) {
  return {{"operations", load.operations},
          {"bytes", load.bytes},
          {"seconds", load.seconds},
          {"cpu_seconds", load.cpuSeconds},
          {"mb_per_s", 1e-6 * load.bytesPerSecond}};
}

Result<json> write(const Options& options) {
  const NumberedRecords records(options.record);
  std::filesystem::create_directories(std::filesystem::path(options.directory).parent_path());
  const double begin = now();
  json out;
  if (options.blobDb) {
    SPOLIA_ASSIGN_OR_RETURN(auto db, openBlobDb(options.directory));
    SPOLIA_ASSIGN_OR_RETURN(const Load load, db->putAll(records, options.first, options.count,
                                                        options.depth, options.keep));
    out = report(load);
  } else {
    SPOLIA_ASSIGN_OR_RETURN(
        auto store, openStore(options.directory, options.capacity, options.segment, options.io()));
    SPOLIA_ASSIGN_OR_RETURN(const Load load,
                            putAll(*store, records, options.first, options.count, options.depth));
    out = report(load);
    const store::StoreFigures figures = store->figures();
    out["used_bytes"] = figures.usedBytes;
    out["syncs"] = figures.syncs;
    out["moved_bytes"] = figures.movedBytes;
  }
  // Whatever the engine wrote, opening and closing included.
  out["written_bytes"] = writtenBytes();
  out["disk_bytes"] = diskBytes(options.directory);
  out["process_seconds"] = now() - begin;
  return out;
}

std::vector<uint64_t> numbersOf(const Options& options) {
  return randomNumbers(options.first, options.end, options.count, options.seed);
}

Result<json> read(const Options& options) {
  const NumberedRecords records(options.record);
  const std::vector<uint64_t> numbers = numbersOf(options);
  const double begin = now();
  if (options.blobDb) {
    SPOLIA_ASSIGN_OR_RETURN(auto db, openBlobDb(options.directory));
    const double opened = now();
    SPOLIA_ASSIGN_OR_RETURN(const Load load, db->getAll(records, numbers, options.depth));
    json out = report(load);
    out["open_seconds"] = opened - begin;
    return out;
  }
  SPOLIA_ASSIGN_OR_RETURN(
      auto store, openStore(options.directory, options.capacity, options.segment, options.io()));
  const double opened = now();
  SPOLIA_ASSIGN_OR_RETURN(const Load load, getAll(*store, records, numbers, options.depth));
  json out = report(load);
  out["open_seconds"] = opened - begin;
  return out;
}

Result<json> places(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(const std::string log, fioLog(options.directory, numbersOf(options)));
  return json{{"log", log}};
}

Result<json> scrub(const Options& options) {
  spdlog::set_level(spdlog::level::off);  // it would name every damaged entry on stdout
  SPOLIA_ASSIGN_OR_RETURN(
      auto store, openStore(options.directory, options.capacity, options.segment, options.io()));
  const double begin = now();
  SPOLIA_ASSIGN_OR_RETURN(const store::ScrubReport report,
                          store::scrubPass(*store, StoreKey{}, [](uint64_t) { return true; }));
  return json{{"entries", report.entries},
              {"damaged", report.damaged},
              {"mb_per_s", 1e-6 * static_cast<double>(report.bytes) / (now() - begin)}};
}

Result<json> rebuild(const Options& options) {
  std::filesystem::remove_all(options.directory + "/index");
  const double begin = now();
  SPOLIA_ASSIGN_OR_RETURN(
      auto store, openStore(options.directory, options.capacity, options.segment, options.io()));
  return json{{"seconds", now() - begin}, {"entries", store->figures().entries}};
}

Result<json> window(const Options& options) {
  return json{{"first", NumberedRecords(options.record).firstWithin(options.keep, options.end)}};
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  using namespace spolia::bench;
  Options options;
  CLI::App app("Figures of the store");
  app.require_subcommand(1);
  const auto step = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("directory", options.directory, "of the store");
    sub->add_option("--record", options.record, "payload bytes; 0: mixed");
    sub->add_option("--capacity", options.capacity, "bytes of the store");
    sub->add_option("--segment", options.segment, "bytes of its files");
    sub->add_option("--first", options.first, "record");
    sub->add_option("--end", options.end, "record behind the last");
    sub->add_option("--count", options.count, "operations");
    sub->add_option("--depth", options.depth, "operations in flight; threads of BlobDB")
        ->check(CLI::Range(1, 4096));
    sub->add_option("--seed", options.seed, "of what is read");
    sub->add_option("--keep", options.keep, "payload bytes that stay");
    sub->add_flag("--pread", options.pread, "threads instead of io_uring");
    sub->add_flag("--blob-db", options.blobDb, "RocksDB's blob files instead of our store");
    return sub;
  };
  const CLI::App* writing = step("write", "puts one record after the other");
  const CLI::App* reading = step("read", "gets records at random");
  const CLI::App* placing = step("places", "where the records of such a read are");
  const CLI::App* scrubbing = step("scrub", "reads every entry once");
  const CLI::App* rebuilding = step("rebuild", "opens it without its index");
  step("window", "the first of the last records");
  CLI11_PARSE(app, argc, argv);
  const auto result = writing->parsed()      ? write(options)
                      : reading->parsed()    ? read(options)
                      : placing->parsed()    ? places(options)
                      : scrubbing->parsed()  ? scrub(options)
                      : rebuilding->parsed() ? rebuild(options)
                                             : window(options);
  if (!result.ok()) {
    std::fprintf(stderr, "store_bench: %s\n", result.status().message().c_str());
    return 1;
  }
  std::printf("%s\n", result->dump().c_str());
}
