// Which files ingestion takes: text and Markdown, alone or in directories. Reads file systems;
// any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "codec/base/result.h"

namespace spolia::engine {

// Larger ones are skipped: a manifest holds the whole text.
inline constexpr uint64_t kMaxDocumentBytes = 32ull << 20;

struct DocumentFile {
  std::filesystem::path path;
  std::string name;  // the path as given, without "./"
  uint64_t bytes = 0;
};

struct SkippedFile {
  std::string name;
  std::string reason;
};

struct DocumentFiles {
  std::vector<DocumentFile> taken;  // without repetition, by name
  std::vector<SkippedFile> skipped;

  uint64_t bytes() const;
};

// The files `paths` name; directories are walked, hidden entries in them are skipped. kNotFound
// when a path given does not exist.
Result<DocumentFiles> findDocuments(const std::vector<std::string>& paths);

// The text of a file. kInvalidArgument, naming the reason, when it is empty, not UTF-8 or has NUL
// bytes; kIoError when it cannot be read.
Result<std::string> readDocument(const DocumentFile& file);

}  // namespace spolia::engine
