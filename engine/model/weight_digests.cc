#include "engine/model/weight_digests.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <system_error>

#include "codec/base/bytes.h"
#include "engine/model/json_file.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr int kCacheVersion = 1;
constexpr size_t kMaxCacheBytes = 64 << 20;
constexpr int64_t kFreshNs = 2'000'000'000;

// The parts of one tensor that the digest covers.
struct TensorRecord {
  std::string type;
  std::vector<uint64_t> shape;
  Sha256Digest bytes;
};

Sha256Digest digestOfRecords(const std::map<std::string, TensorRecord>& records) {
  ByteWriter out;
  auto text = [&out](std::string_view value) {
    out.u32(static_cast<uint32_t>(value.size()));
    out.bytes(asBytes(value));
  };
  text("spolia weights 1");
  for (const auto& [name, record] : records) {
    text(name);
    text(record.type);
    out.u32(static_cast<uint32_t>(record.shape.size()));
    for (const uint64_t extent : record.shape) out.u64(extent);
    out.bytes(record.bytes.span());
  }
  return {sha256(out.view())};
}

Sha256Digest digestOfRows(const TensorEntry& entry) {
  if (entry.interleavedHeads == 0) return {sha256(entry.bytes)};
  Sha256 out;
  for (uint64_t r = 0; r < entry.rows(); ++r) out.update(entry.row(r));
  return {out.finish()};
}

// The cache file as JSON: {"version": 1, "files": {PATH: {"size", "modified_ns", "inode",
// "tensors": {NAME: HEX}}}}.
class DigestCache {
 public:
  explicit DigestCache(const std::filesystem::path& path) : path_(path) {
    auto text = readTextFile(path, kMaxCacheBytes);
    if (!text.ok()) return;
    auto document = parseJson(*text, "cache");
    if (!document.ok() || !document->is_object()) return;
    if (document->value("version", json()) != kCacheVersion) return;
    if (const auto it = document->find("files"); it != document->end() && it->is_object()) {
      files_ = *it;
    }
  }

  std::optional<Sha256Digest> find(const FileStamp& stamp, const std::string& tensor) const {
    const auto file = files_.find(keyOf(stamp));
    if (file == files_.end() || !sameState(*file, stamp)) return std::nullopt;
    const auto tensors = file->find("tensors");
    if (tensors == file->end() || !tensors->is_object()) return std::nullopt;
    const auto hex = tensors->find(tensor);
    if (hex == tensors->end() || !hex->is_string()) return std::nullopt;
    auto bytes = digestFromHex(hex->get_ref<const std::string&>());
    if (!bytes.ok()) return std::nullopt;
    return Sha256Digest{*bytes};
  }

  void note(const FileStamp& stamp, const std::string& tensor, const Sha256Digest& digest) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const int64_t age = std::chrono::nanoseconds(now).count() - stamp.modifiedNs;
    if (age < kFreshNs) return;
    json& file = files_[keyOf(stamp)];
    if (!file.is_object() || !sameState(file, stamp) || !file["tensors"].is_object()) {
      file = {{"size", stamp.size},
              {"modified_ns", stamp.modifiedNs},
              {"inode", stamp.inode},
              {"tensors", json::object()}};
    }
    file["tensors"][tensor] = digest.hex();
    changed_ = true;
  }

  // Forgets files that are gone, writes beside the file and renames: readers see old or new.
  void save() {
    if (!changed_) return;
    std::error_code error;
    for (auto it = files_.begin(); it != files_.end();) {
      it = std::filesystem::exists(it.key(), error) ? std::next(it) : files_.erase(it);
    }
    std::filesystem::create_directories(path_.parent_path(), error);
    std::filesystem::path fresh = path_;
    fresh += std::to_string(::getpid()) + ".new";
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    const json document = {{"version", kCacheVersion}, {"files", files_}};
    out << document.dump(1, ' ', false, json::error_handler_t::replace) << "\n";
    out.close();
    if (out) std::filesystem::rename(fresh, path_, error);
    if (!out || error) std::filesystem::remove(fresh, error);
  }

 private:
  static std::string keyOf(const FileStamp& stamp) {
    std::error_code error;
    const auto absolute = std::filesystem::canonical(stamp.path, error);
    return error ? stamp.path.string() : absolute.string();
  }

  static bool sameState(const json& file, const FileStamp& stamp) {
    return file.is_object() && file.value("size", json()) == stamp.size &&
           file.value("modified_ns", json()) == stamp.modifiedNs &&
           file.value("inode", json()) == stamp.inode;
  }

  const std::filesystem::path path_;
  json files_ = json::object();
  bool changed_ = false;
};

}  // namespace

std::optional<std::filesystem::path> defaultDigestCache() {
  const std::filesystem::path name = std::filesystem::path("spolia") / "weight-digests.json";
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && cache[0] == '/') return cache / name;
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::filesystem::path(home) / ".cache" / name;
  return std::nullopt;
}

Sha256Digest weightsDigest(const ModelConfig& config, const WeightSource& source,
                           const std::optional<std::filesystem::path>& cachePath) {
  std::optional<DigestCache> cache;
  if (cachePath) cache.emplace(*cachePath);
  std::map<std::string, TensorRecord> records;
  for (const TensorSpec& spec : tensorSpecs(config)) {
    const TensorEntry* entry = source.find(spec.name);
    SPOLIA_CHECK(entry != nullptr);
    const FileStamp& stamp = source.files()[entry->file];
    auto digest = cache ? cache->find(stamp, entry->name) : std::nullopt;
    if (!digest) {
      digest = digestOfRows(*entry);
      if (cache) cache->note(stamp, entry->name, *digest);
    }
    records[spec.name] = {std::string(tensorTypeName(entry->type)), entry->shape, *digest};
  }
  if (cache) cache->save();
  return digestOfRecords(records);
}

Sha256Digest weightsDigest(const ModelConfig& config, const TensorTable& tensors) {
  std::map<std::string, TensorRecord> records;
  for (const TensorSpec& spec : tensorSpecs(config)) {
    const Matrix* tensor = tensors.find(spec.name);
    SPOLIA_CHECK(tensor != nullptr);
    std::vector<uint64_t> shape = {spec.rows, spec.columns};
    if (spec.vector) shape.erase(shape.begin());
    const std::span values(tensor->data(), tensor->rows() * tensor->columns());
    records[spec.name] = {"F32", std::move(shape), {sha256(std::as_bytes(values))}};
  }
  return digestOfRecords(records);
}

}  // namespace spolia::engine
