#include "engine/document_files.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "engine/linker/chunker.h"
#include "engine/linker/manifest.h"

namespace spolia::engine {

namespace {

namespace fs = std::filesystem;

bool isDocument(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".txt" || extension == ".md";
}

class Finder {
 public:
  Status addPath(const std::string& given) {
    const fs::path path = fs::path(given).lexically_normal();
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
      return Status(ErrorCode::kNotFound, given + ": expected a file or directory, found none");
    }
    if (fs::is_directory(status)) {
      walk(path);
    } else {
      addFile(path);
    }
    return Status();
  }

  DocumentFiles take() {
    DocumentFiles out;
    for (auto& [name, file] : taken_) out.taken.push_back(std::move(file));
    out.skipped = std::move(skipped_);
    return out;
  }

 private:
  void skip(const fs::path& path, const std::string& reason) {
    skipped_.push_back({path.string(), reason});
  }

  void walk(const fs::path& directory) {
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
      entries.push_back(at->path());
    }
    if (error) return skip(directory, error.message());
    std::ranges::sort(entries);
    for (const fs::path& entry : entries) {
      const fs::file_status status = fs::status(entry, error);
      if (entry.filename().string().starts_with('.')) {
        skip(entry, "hidden");
      } else if (fs::is_directory(status) && fs::is_symlink(entry)) {
        skip(entry, "a link to a directory");
      } else if (fs::is_directory(status)) {
        walk(entry);
      } else {
        addFile(entry);
      }
    }
  }

  void addFile(const fs::path& path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return skip(path, "not a regular file");
    if (!isDocument(path)) return skip(path, "neither .txt nor .md");
    if (path.string().size() > kMaxDocumentName) return skip(path, "its path is too long");
    const uint64_t bytes = fs::file_size(path, error);
    if (error) return skip(path, error.message());
    if (bytes > kMaxDocumentBytes) return skip(path, "larger than 32 MiB");
    taken_[path.string()] = {path, path.string(), bytes};
  }

  std::map<std::string, DocumentFile> taken_;
  std::vector<SkippedFile> skipped_;
};

}  // namespace

uint64_t DocumentFiles::bytes() const {
  uint64_t sum = 0;
  for (const DocumentFile& file : taken) sum += file.bytes;
  return sum;
}

Result<DocumentFiles> findDocuments(const std::vector<std::string>& paths) {
  Finder finder;
  for (const std::string& path : paths) SPOLIA_RETURN_IF_ERROR(finder.addPath(path));
  return finder.take();
}

Result<std::string> readDocument(const DocumentFile& file) {
  std::ifstream in(file.path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  if (file.bytes > 0 && (!in || content.fail())) {
    return Status(ErrorCode::kIoError, "cannot be read");
  }
  std::string text = std::move(content).str();
  if (text.empty()) return Status(ErrorCode::kInvalidArgument, "empty");
  if (text.find('\0') != std::string::npos) {
    return Status(ErrorCode::kInvalidArgument, "has NUL bytes, expected text");
  }
  if (!isUtf8(text)) return Status(ErrorCode::kInvalidArgument, "not UTF-8");
  return text;
}

}  // namespace spolia::engine
