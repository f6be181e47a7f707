#include "server/store/segments/last_words.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "codec/base/checksum.h"

namespace spolia::store {
namespace {

constexpr uint32_t kMagic = 0x44525750;  // "PWRD"
constexpr uint16_t kVersion = 1;
constexpr size_t kChecksumAt = 4 + 2 + 2;
constexpr size_t kHeadBytes = kChecksumAt + 8 + 8;
constexpr char kSuffix[] = ".words";
constexpr size_t kMostFiles = 8;

Status damaged(const char* what) {
  return Status(ErrorCode::kCorrupt, std::string("last words: ") + what);
}

// Of all bytes, the checksum's own counting as zero.
uint64_t checksumOf(ByteSpan file) {
  Bytes copy = toBytes(file);
  std::memset(copy.data() + kChecksumAt, 0, sizeof(uint64_t));
  return xxh3(copy);
}

uint64_t latestOf(const std::vector<LastWord>& words) {
  uint64_t latest = 0;
  for (const LastWord& word : words) latest = std::max(latest, word.sequence);
  return latest;
}

}  // namespace

std::string wordsFileName(uint32_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%06u%s", number, kSuffix);
  return name;
}

std::optional<uint32_t> wordsFileNumber(const std::string& name) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || wordsFileName(number) != name) return std::nullopt;
  return number;
}

AlignedBuffer encodeLastWords(const std::vector<LastWord>& words) {
  AlignedBuffer out =
      AlignedBuffer::zeroed(roundUpToBlock(kHeadBytes + words.size() * kLastWordBytes));
  size_t at = 0;
  const auto put = [&](const auto& value) {
    std::memcpy(out.data() + at, &value, sizeof value);
    at += sizeof value;
  };
  put(kMagic);
  put(kVersion);
  put(uint16_t{0});
  put(uint64_t{0});  // checksum
  put(uint64_t{words.size()});
  for (const LastWord& word : words) {
    put(word.key.bytes);
    put(word.sequence);
  }
  const uint64_t checksum = xxh3(out.span());
  std::memcpy(out.data() + kChecksumAt, &checksum, sizeof checksum);
  return out;
}

Result<std::vector<LastWord>> parseLastWords(ByteSpan file) {
  ByteReader r(file);
  const bool magic = r.u32() == kMagic;
  const uint16_t version = r.u16();
  r.u16();
  const uint64_t checksum = r.u64();
  const uint64_t count = r.u64();
  if (!r.ok() || !magic) return damaged("no such file");
  if (version > kVersion) {
    return Status(ErrorCode::kUnsupported, "last words of version " + std::to_string(version));
  }
  if (count > (file.size() - kHeadBytes) / kLastWordBytes) return damaged("cut short");
  if (checksumOf(file) != checksum) return damaged("checksum");
  std::vector<LastWord> words(count);
  for (LastWord& word : words) {
    std::ranges::copy(r.bytes(word.key.bytes.size()), word.key.bytes.begin());
    word.sequence = r.u64();
  }
  if (!r.ok()) return damaged("cut short");
  return words;
}

Status LastWords::load(Ring& ring, const std::string& name) {
  lastFile_ = std::max(lastFile_, wordsFileNumber(name).value_or(0));
  SPOLIA_ASSIGN_OR_RETURN(const FileHandle handle, ring.open(name));
  SPOLIA_ASSIGN_OR_RETURN(const uint64_t bytes, ring.size(handle));
  files_.push_back({handle});
  AlignedBuffer file(bytes / kDiskBlock * kDiskBlock);
  const auto read = [&]() -> Result<std::vector<LastWord>> {
    SPOLIA_RETURN_IF_ERROR(ring.readNow(handle, 0, file.span()));
    return parseLastWords(file.span());
  };
  Result<std::vector<LastWord>> words = read();
  if (!words.ok()) words = read();  // the mistake may be the reading's
  if (!words.ok()) {
    if (words.status().code() != ErrorCode::kCorrupt) files_.pop_back();
    return words.status();
  }
  files_.back().latest = latestOf(*words);
  for (const LastWord& word : *words) note(word);
  return Status();
}

void LastWords::note(const LastWord& word) {
  uint64_t& sequence = words_[word.key];
  sequence = std::max(sequence, word.sequence);
}

void LastWords::dropFiles(Ring& ring, uint64_t olderThan) {
  std::erase_if(files_, [&](const File& file) {
    return file.latest < olderThan && ring.remove(file.handle).ok();  // else the next time
  });
}

// A file for each time, and from time to time one for all.
Status LastWords::write(Ring& ring, const std::vector<LastWord>& more, uint64_t oldest,
                        size_t most) {
  std::erase_if(words_, [oldest](const auto& word) { return word.second < oldest; });
  dropFiles(ring, oldest);
  if (more.empty()) return Status();
  const auto isNew = [this](const LastWord& word) { return !words_.contains(word.key); };
  if (words_.size() + static_cast<size_t>(std::ranges::count_if(more, isNew)) > most) {
    return Status(ErrorCode::kOutOfSpace,
                  "removals beside the segments: expected at most " + std::to_string(most));
  }
  std::vector<LastWord> words = more;
  const bool all = files_.size() >= kMostFiles;
  if (all) {
    for (const auto& [key, sequence] : words_) words.push_back({key, sequence});
  }
  const AlignedBuffer file = encodeLastWords(words);
  const std::string name = wordsFileName(lastFile_ + 1);
  SPOLIA_ASSIGN_OR_RETURN(const FileHandle handle, ring.create(name, file.size(), file.span()));
  ++lastFile_;
  if (all) {
    for (File& before : files_) before.latest = 0;
    dropFiles(ring, 1);
  }
  files_.push_back({handle, latestOf(words)});
  for (const LastWord& word : more) note(word);
  return Status();
}

uint64_t LastWords::latest() const {
  uint64_t latest = 0;
  for (const auto& [key, sequence] : words_) latest = std::max(latest, sequence);
  return latest;
}

}  // namespace spolia::store
