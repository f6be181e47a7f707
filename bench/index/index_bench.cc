// Figures of the RocksDB index, one step a process; index_figures.py puts them together. Each step
// prints one JSON object.
//
//   index_bench fill DIR --entries N
//   index_bench memory DIR               resident bytes of index and eviction state
//   index_bench warm DIR --entries N     lookups, half of them hits, after one round unmeasured
//   index_bench cold DIR --entries N     the first lookups of a process, all hits
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/numbered_keys.h"
#include "bench/process_figures.h"
#include "server/store/eviction/policy_factory.h"
#include "server/store/index/rocks_index.h"
#include "server/store/residents.h"
#include "server/tiers/entry_attributes.h"

namespace spolia::bench {
namespace {

using nlohmann::json;
using store::Index;
using store::IndexEntry;

constexpr uint64_t kBatch = 512;  // entries applied together
constexpr uint64_t kSegmentBytes = 256 << 20;
constexpr uint64_t kBlock = 4096;

struct Options {
  std::string directory;
  uint64_t entries = 1'000'000;
  uint64_t lookups = 1024;
  uint64_t repeats = 50;
  uint64_t seed = 1;
  bool many = false;
};

// With a share that 10 million entries fit into.
store::RocksIndexConfig indexConfig(const Options& options) {
  store::RocksIndexConfig config{options.directory};
  config.shareBytes = 8ull << 30;
  return config;
}

// What a chunk of 256 tokens leaves: attributes as the tiers write them, records of 0.25 to 2 MiB
// one behind the other.
class Entries {
 public:
  IndexEntry next() {
    IndexEntry entry;
    entry.meta.key = numberedKey(number_);
    entry.meta.kind = static_cast<uint8_t>(codec::EntryKind::kChunk);
    entry.meta.payloadBytes = (256 << 10) + random_.below(1792 << 10);
    tiers::EntryAttributes attributes;
    attributes.ns = tag_;
    for (size_t at = 0; at < attributes.id.bytes.size(); at += 8) {
      const uint64_t bits = random_.next();
      std::memcpy(attributes.id.bytes.data() + at, &bits, sizeof bits);
    }
    attributes.contentTag = random_.next();
    attributes.headerBytes = 2048 + static_cast<uint32_t>(random_.below(2048));
    attributes.tokens = 64 + static_cast<uint32_t>(random_.below(193));
    attributes.preset = codec::Preset::kBalanced;
    attributes.levels = 2;
    entry.meta.attributes = writeAttributes(attributes);
    entry.sequence = uint64_t{3} << 40 | ++number_;
    entry.address = place(kBlock + (entry.meta.payloadBytes + kBlock - 1) / kBlock * kBlock);
    return entry;
  }

 private:
  store::RecordAddress place(uint64_t length) {
    if (end_ + length > kSegmentBytes) ++segment_, end_ = kBlock;
    const store::RecordAddress address{{segment_}, {uint64_t{3} << 24 | segment_}, end_, length};
    end_ += length;
    return address;
  }

  uint64_t number_ = 0;
  uint32_t segment_ = 1;
  uint64_t end_ = kBlock;
  Random random_{7};
  const tiers::NamespaceTag tag_ = tiers::namespaceTagOf(tiers::embeddedNamespace());
};

uint64_t fileBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (file.is_regular_file()) bytes += file.file_size();
  }
  return bytes;
}

// Takes the directory's files out of the page cache.
void dropCached(const std::string& directory) {
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (!file.is_regular_file()) continue;
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ::fdatasync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

Result<json> fill(const Options& options) {
  std::filesystem::create_directories(options.directory);
  SPOLIA_ASSIGN_OR_RETURN(auto index, store::openRocksIndex(indexConfig(options)));
  Entries entries;
  const double begin = now();
  for (uint64_t done = 0; done < options.entries;) {
    store::IndexBatch batch;
    for (uint64_t i = 0; i < kBatch && done < options.entries; ++i, ++done) {
      batch.puts.push_back(entries.next());
    }
    const store::RecordAddress& last = batch.puts.back().address;
    batch.marks.push_back({last.segment, last.generation, last.offset + last.length, 0, 1, done});
    SPOLIA_RETURN_IF_ERROR(index->apply(batch));
  }
  index.reset();
  const double seconds = now() - begin;
  const uint64_t bytes = fileBytes(options.directory);
  return json{
      {"seconds", seconds},
      {"disk_bytes", bytes},
      {"disk_bytes_per_chunk", static_cast<double>(bytes) / static_cast<double>(options.entries)}};
}

std::vector<StoreKey> keysOf(const Options& options, Random& random, bool halfHits) {
  std::vector<StoreKey> keys;
  for (uint64_t i = 0; i < options.lookups; ++i) {
    const uint64_t absent = halfHits && i % 2 == 1 ? options.entries : 0;
    keys.push_back(numberedKey(absent + random.below(options.entries)));
  }
  return keys;
}

// Hits.
Result<uint64_t> lookUp(Index& index, const std::vector<StoreKey>& keys, bool many) {
  uint64_t hits = 0;
  if (many) {
    SPOLIA_ASSIGN_OR_RETURN(const auto found, index.findMany(keys));
    for (const auto& entry : found) hits += entry.has_value();
    return hits;
  }
  for (const StoreKey& key : keys) {
    SPOLIA_ASSIGN_OR_RETURN(const auto found, index.find(key));
    hits += found.has_value();
  }
  return hits;
}

Result<double> timedLookUp(Index& index, const std::vector<StoreKey>& keys, bool many,
                           uint64_t expected) {
  const double begin = now();
  SPOLIA_ASSIGN_OR_RETURN(const uint64_t hits, lookUp(index, keys, many));
  const double milliseconds = 1000 * (now() - begin);
  if (hits == expected) return milliseconds;
  return Status(ErrorCode::kInternal, std::to_string(hits) + " of " + std::to_string(keys.size()) +
                                          " keys found, expected " + std::to_string(expected));
}

Result<json> warm(const Options& options) {
  SPOLIA_ASSIGN_OR_RETURN(auto index, store::openRocksIndex(indexConfig(options)));
  // Every file once, in order: the page cache has them all.
  SPOLIA_RETURN_IF_ERROR(index->scan(StoreKey{}, [](const IndexEntry&) { return true; }));
  Random random(options.seed);
  std::vector<double> one, many;
  for (uint64_t i = 0; i < options.repeats; ++i) {
    const auto keys = keysOf(options, random, true);
    SPOLIA_ASSIGN_OR_RETURN(double ms, timedLookUp(*index, keys, false, keys.size() / 2));
    one.push_back(ms);
    // Other keys: the first lookup has brought its blocks into the block cache.
    const auto others = keysOf(options, random, true);
    SPOLIA_ASSIGN_OR_RETURN(ms, timedLookUp(*index, others, true, others.size() / 2));
    many.push_back(ms);
  }
  return json{{"find_ms", one}, {"find_many_ms", many}};
}

Result<json> cold(const Options& options) {
  dropCached(options.directory);
  const double begin = now();
  SPOLIA_ASSIGN_OR_RETURN(auto index, store::openRocksIndex(indexConfig(options)));
  const double opened = now();
  dropCached(options.directory);
  Random random(options.seed);
  const auto keys = keysOf(options, random, false);
  SPOLIA_ASSIGN_OR_RETURN(const double ms, timedLookUp(*index, keys, options.many, keys.size()));
  return json{{"lookup_ms", ms}, {"open_ms", 1000 * (opened - begin)}};
}

// As after an opening that has gone through all entries, and some lookups.
Result<json> memory(const Options& options) {
  const uint64_t before = residentBytes();
  SPOLIA_ASSIGN_OR_RETURN(auto index, store::openRocksIndex(indexConfig(options)));
  constexpr uint64_t kBudget = 1ull << 50;
  store::Residents residents({[] { return *store::makePolicy("value", kBudget); },
                              tiers::entryWorthOf,
                              store::Footprint{kBudget, kBudget},
                              {}});
  uint64_t count = 0;
  const auto add = [&](const IndexEntry& entry) {
    residents.add(entry.meta, entry.address.length, 1000 * ++count);
    return true;
  };
  SPOLIA_RETURN_IF_ERROR(index->scan(StoreKey{}, add));
  Options half = options;
  half.entries = count;
  Random random(options.seed);
  for (int i = 0; i < 8; ++i) {
    SPOLIA_RETURN_IF_ERROR(lookUp(*index, keysOf(half, random, true), i % 2 == 1).status());
  }
  ::malloc_trim(0);
  const auto perChunk = [&](uint64_t bytes) {
    return static_cast<double>(bytes - before) / static_cast<double>(count);
  };
  const uint64_t full = residentBytes();
  // With what the policy remembers of those it gave up, one for one in the end.
  const auto victim = residents.victim(1000 * ++count);
  if (victim) {
    store::EntryMeta gone;
    gone.key = store::Residents::firstKeyOf(victim->prefix);
    residents.remove(gone, 0, store::Departure::kEvicted);
  }
  return json{{"bytes_per_chunk", perChunk(residentBytes())},
              {"bytes_per_chunk_without_ghosts", perChunk(full)},
              {"entries", residents.evictable()}};
}

}  // namespace
}  // namespace spolia::bench

int main(int argc, char** argv) {
  using namespace spolia::bench;
  Options options;
  CLI::App app("Figures of the index");
  app.require_subcommand(1);
  const auto step = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("directory", options.directory, "of the index")->required();
    sub->add_option("--entries", options.entries, "in the index")->check(CLI::Range(100, 1 << 30));
    sub->add_option("--lookups", options.lookups, "keys of one measurement");
    sub->add_option("--repeats", options.repeats, "measurements");
    sub->add_option("--seed", options.seed, "of the keys looked up");
    sub->add_flag("--many", options.many, "all keys in one call");
    return sub;
  };
  const CLI::App* filling = step("fill", "make an index");
  const CLI::App* warming = step("warm", "lookups, page cache warm");
  const CLI::App* cooling = step("cold", "lookups, all caches empty");
  step("memory", "resident bytes of a chunk");
  CLI11_PARSE(app, argc, argv);
  const auto result = filling->parsed()   ? fill(options)
                      : warming->parsed() ? warm(options)
                      : cooling->parsed() ? cold(options)
                                          : memory(options);
  if (!result.ok()) {
    std::fprintf(stderr, "index_bench: %s\n", result.status().message().c_str());
    return 1;
  }
  std::printf("%s\n", result->dump().c_str());
}
