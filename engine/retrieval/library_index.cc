#include "engine/retrieval/library_index.h"

#include <algorithm>

namespace spolia::engine {

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
  for (const std::string& name : names) {
    if (indexed_.contains(name)) continue;
    const Result<Manifest> manifest = library.manifest(name);
    if (manifest.status().code() == ErrorCode::kNotFound) continue;  // gone since it was listed
    if (!manifest.ok()) return manifest.status();
    SPOLIA_RETURN_IF_ERROR(ranker_.put(name, manifest->text()));
    indexed_.insert(name);
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
