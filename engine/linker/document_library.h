// DocumentLibrary: documents of one model in a KvSource, as chunks and manifests. Putting a
// document computes what is not stored yet; a new version replaces the old one, and chunks no
// manifest names any more are removed. Documents are ordered by name, bytewise: that is manifest
// order. A manifest names the cut, by the ids its chunks have in compile mode `bos`,
// whatever modes they are stored in: ids of another mode follow from the texts, and removing a
// chunk removes it in all modes.
//
// Borrows model, compiler and source. One thread. Other processes may use the same source: what one
// of them removes too early is a miss, computed again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "engine/linker/chunk_compiler.h"
#include "engine/linker/kv_source.h"
#include "engine/linker/manifest.h"
#include "engine/model/model.h"

namespace spolia::engine {

struct PutDocument {
  bool unchanged = false;  // this very version was there, complete
  bool replaced = false;   // another version was there
  uint32_t chunks = 0;
  uint32_t computed = 0;  // chunks that were not stored yet
  uint64_t tokens = 0;
  uint64_t storedBytes = 0;  // of the chunks computed
  uint32_t removed = 0;      // chunks of the old version that nothing names any more
};

class StoreWindow;  // document_library.cc

class DocumentLibrary {
 public:
  struct Config {
    uint32_t chunkTokens = 256;
    codec::Preset preset = codec::Preset::kHigh;
    codec::ElementType pageType = codec::ElementType::kBf16;
    // Of the chunks that put() stores, beside those of the other mode.
    codec::CompileMode mode = codec::CompileMode::kBos;
    // What is there already is put again, as it is, so that it lives as long as what is new.
    bool prolong = false;
    // For the presets `balanced` and `small`.
    std::shared_ptr<const codec::Profile> profile = nullptr;
  };
  // Chunks done and chunks in all, of the document being put.
  using Progress = std::function<void(size_t done, size_t total)>;

  DocumentLibrary(const Model& model, const Transformer& transformer, KvSource& source,
                  Config config);

  // Stores a document. Success when it and its manifest are durable. On failure the version that
  // was there before stays whole, and what was stored of the new one is taken back as far as the
  // source lets. kInvalidArgument for a name or text that cannot be stored.
  Result<PutDocument> put(const std::string& name, std::string_view text,
                          const Progress& progress = {});

  // Names of all documents of this model, in manifest order.
  Result<std::vector<std::string>> names();
  // kNotFound when there is none; kCorrupt when it names another document.
  Result<Manifest> manifest(const std::string& name);
  // One for each name, in order, each as manifest() gives it; asked for together.
  std::vector<Result<Manifest>> manifests(std::span<const std::string> names);
  // Removes manifest and the chunks no other manifest names. Number of chunks removed; kNotFound
  // when there is none.
  Result<uint32_t> remove(const std::string& name);

 private:
  // What goes when no manifest names a cut any more.
  struct Removable {
    ChunkId named;             // as in manifests
    std::vector<ChunkId> ids;  // as stored
  };
  struct Stored {
    uint32_t computed = 0;
    uint64_t bytes = 0;
    std::vector<Removable> chunks;  // stored by us, absent before
  };

  Result<Manifest> cut(const std::string& name, std::string_view text,
                       std::vector<std::vector<codec::TokenId>>& tokens) const;
  static Result<Manifest> manifestOf(const std::string& name, codec::ChunkCompletion value);
  Result<ChunkId> idOf(std::string_view text, codec::CompileMode mode) const;
  Result<std::vector<Removable>> chunksOf(const Manifest& manifest) const;
  Result<bool> complete(const Manifest& manifest);
  Status prolong(const Manifest& manifest);
  // Whether the chunk is stored at least as fine as asked.
  Result<bool> isStored(const ChunkId& id);
  // The same, and prolongs it where that is asked for.
  Result<bool> keep(const ChunkId& id, StoreWindow& window);
  Status storeMissing(const Manifest& manifest,
                      const std::vector<std::vector<codec::TokenId>>& tokens,
                      const Progress& progress, Stored& stored);
  Status storeProfileOnce();
  Result<uint32_t> removeUnnamed(const std::vector<Removable>& candidates);

  const Model& model_;
  KvSource& source_;
  const Config config_;
  ChunkCompiler compiler_;
  bool profileStored_ = false;  // by this library
};

// Names that match one of the shell patterns ('*', '?', '[...]', where '*' also matches '/'), in
// the order of `names`; all of them when there is no pattern.
std::vector<std::string> matchingNames(const std::vector<std::string>& names,
                                       const std::vector<std::string>& patterns);

}  // namespace spolia::engine
