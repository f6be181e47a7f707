// LibraryIndex: a DocumentRanker over the documents of a library, brought up to date when it is
// asked. Manifests are read, chunks are not.
//
// One thread at a time.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/linker/document_library.h"
#include "engine/retrieval/document_ranker.h"

namespace spolia::engine {

class LibraryIndex {
 public:
  using NameFilter = std::function<bool(const std::string& name)>;

  // An empty one; failures are DocumentRanker::create's.
  static Result<LibraryIndex> create();

  // At most `count` of the library's documents whose names `wanted` is true of, the likeliest for
  // the question, in manifest order: the same choice is the same prompt. Documents
  // that came or went since the last call are taken in; one that was replaced under its name is
  // ranked by its first text until it is removed. Failures are the library's.
  Result<std::vector<std::string>> best(DocumentLibrary& library, std::string_view question,
                                        size_t count, const NameFilter& wanted);

 private:
  explicit LibraryIndex(DocumentRanker ranker) : ranker_(std::move(ranker)) {}
  Status update(DocumentLibrary& library, const std::vector<std::string>& names);
  Status add(DocumentLibrary& library, std::span<const std::string> names);

  DocumentRanker ranker_;
  std::set<std::string> indexed_;
};

}  // namespace spolia::engine
