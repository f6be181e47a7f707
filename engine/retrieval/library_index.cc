#include "engine/retrieval/library_index.h"

#include <algorithm>

namespace spolia::engine {

namespace {

// Manifests held in memory at a time, with their texts.
constexpr size_t kReadTogether = 256;

}  // namespace

Result<LibraryIndex> LibraryIndex::create() {
  SPOLIA_ASSIGN_OR_RETURN(DocumentRanker ranker, DocumentRanker::create());
  return LibraryIndex(std::move(ranker));
}

Status LibraryIndex::update(DocumentLibrary& library, const std::vector<std::string>& names) {
  const std::set<std::string> present(names.begin(), names.end());
  for (auto it = indexed_.begin(); it != indexed_.end();) {
    if (present.contains(*it)) {
      ++it;
      continue;
    }
    SPOLIA_RETURN_IF_ERROR(ranker_.remove(*it));
    it = indexed_.erase(it);
  }
  std::vector<std::string> fresh;
  std::ranges::copy_if(names, std::back_inserter(fresh),
                       [this](const std::string& name) { return !indexed_.contains(name); });
  for (size_t begin = 0; begin < fresh.size(); begin += kReadTogether) {
    const size_t count = std::min(kReadTogether, fresh.size() - begin);
    SPOLIA_RETURN_IF_ERROR(add(library, std::span(fresh).subspan(begin, count)));
  }
  return Status();
}

Status LibraryIndex::add(DocumentLibrary& library, std::span<const std::string> names) {
  const std::vector<Result<Manifest>> manifests = library.manifests(names);
  for (size_t i = 0; i < names.size(); ++i) {
    const Result<Manifest>& manifest = manifests[i];
    if (manifest.status().code() == ErrorCode::kNotFound) continue;  // gone since it was listed
    if (!manifest.ok()) return manifest.status();
    SPOLIA_RETURN_IF_ERROR(ranker_.put(names[i], manifest->text()));
    indexed_.insert(names[i]);
  }
  return Status();
}

Result<std::vector<std::string>> LibraryIndex::best(DocumentLibrary& library,
                                                    std::string_view question, size_t count,
                                                    const NameFilter& wanted) {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> names, library.names());
  SPOLIA_RETURN_IF_ERROR(update(library, names));
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> ranked,
                          ranker_.best(question, names.size()));
  std::vector<std::string> out;
  for (const std::string& name : ranked) {
    if (out.size() < count && wanted(name)) out.push_back(name);
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace spolia::engine
