// DocumentRanker: which documents a question is most likely about, by BM25 over their texts. Kept
// in memory by SQLite's FTS5; words are runs of letters and digits, without case and accents.
//
// Owned by whoever answers questions. One thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"

struct sqlite3;

namespace spolia::engine {

class DocumentRanker {
 public:
  // An empty one. kUnsupported when this SQLite has no FTS5, kOutOfSpace without memory.
  static Result<DocumentRanker> create();
  DocumentRanker(DocumentRanker&&) noexcept = default;
  DocumentRanker& operator=(DocumentRanker&&) noexcept = default;

  // Takes a document in; one of the same name is replaced.
  Status put(const std::string& name, std::string_view text);
  // A name that is not there is no error.
  Status remove(const std::string& name);

  // At most `count` names, best first: documents with words of the question by their score, then
  // those without any; ties by name, bytewise. The question is text, never query syntax.
  Result<std::vector<std::string>> best(std::string_view question, size_t count) const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  explicit DocumentRanker(sqlite3* database) : database_(database) {}

  std::unique_ptr<sqlite3, Closer> database_;
};

}  // namespace spolia::engine
