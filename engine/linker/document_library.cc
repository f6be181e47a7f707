#include "engine/linker/document_library.h"

#include <fnmatch.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "engine/linker/chunk_profiles.h"
#include "engine/linker/chunker.h"

namespace spolia::engine {

namespace {

// Stores under way at a time: enough for a group commit, few enough to bound memory.
constexpr size_t kMaxStoresInFlight = 8;
constexpr size_t kListPage = 512;

// One request and its answer; a completion that failed becomes its status.
Result<codec::ChunkCompletion> await(const std::function<void(codec::ChunkQueue&)>& submit) {
  codec::ChunkQueue queue;
  submit(queue);
  codec::ChunkCompletion done = queue.waitPop();
  if (!done.status.ok()) return done.status;
  return done;
}

Status putManifest(KvSource& source, const ChunkId& id, const Manifest& manifest,
                   codec::PutMode mode) {
  AlignedBuffer bytes = AlignedBuffer::copyOf(serializeManifest(manifest));
  return await([&](codec::ChunkQueue& queue) {
           source.submitPutValue(
               {id, codec::EntryKind::kManifest, manifest.name, std::move(bytes), mode}, 0, queue);
         })
      .status();
}

// Absence counts as success.
Status removeEntry(KvSource& source, const ChunkId& id) {
  const Status status =
      await([&](codec::ChunkQueue& queue) { source.submitRemove(id, 0, queue); }).status();
  return status.code() == ErrorCode::kNotFound ? Status() : status;
}

bool atLeastAsFine(codec::Preset have, codec::Preset want) {
  return have <= want;
}

}  // namespace

// Streams on their way into the source.
class StoreWindow {
 public:
  explicit StoreWindow(KvSource& source) : source_(source) {}
  // The source owes completions to our queue.
  ~StoreWindow() {
    while (inFlight_ > 0) settleOne().ignore();  // nobody is left to tell
  }
  StoreWindow(const StoreWindow&) = delete;
  StoreWindow& operator=(const StoreWindow&) = delete;

  Status add(AlignedBuffer stream) {
    if (inFlight_ == kMaxStoresInFlight) SPOLIA_RETURN_IF_ERROR(settleOne());
    ++inFlight_;
    source_.submitStore(std::move(stream), codec::PutMode::kIfFiner, 0, queue_);
    return Status();
  }
  Status settle() {
    Status first;
    while (inFlight_ > 0) {
      const Status status = settleOne();
      if (first.ok()) first = status;
    }
    return first;
  }

 private:
  Status settleOne() {
    --inFlight_;
    return queue_.waitPop().status;
  }

  KvSource& source_;
  codec::ChunkQueue queue_;
  size_t inFlight_ = 0;
};

DocumentLibrary::DocumentLibrary(const Model& model, const Transformer& transformer,
                                 KvSource& source, Config config)
    : model_(model),
      source_(source),
      config_(config),
      compiler_(model, transformer, {config.preset, config.pageType, config.mode, config.profile}) {
}

Result<Manifest> DocumentLibrary::cut(const std::string& name, std::string_view text,
                                      std::vector<std::vector<codec::TokenId>>& tokens) const {
  if (name.empty() || name.size() > kMaxDocumentName) {
    return Status(ErrorCode::kInvalidArgument, "name of " + std::to_string(name.size()) +
                                                   " bytes: expected 1 to " +
                                                   std::to_string(kMaxDocumentName));
  }
  SPOLIA_ASSIGN_OR_RETURN(std::vector<TextChunk> chunks,
                          chunkText(text, config_.chunkTokens, [&](std::string_view part) {
                            return model_.tokenizer().encodeContent(part);
                          }));
  if (chunks.empty()) return Status(ErrorCode::kInvalidArgument, "the document is empty");
  Manifest out;
  out.name = name;
  out.version = documentVersion(text, config_.chunkTokens);
  out.preset = config_.preset;
  out.chunkTokens = config_.chunkTokens;
  for (TextChunk& chunk : chunks) {
    const ChunkId id = codec::chunkIdOf(textChunkIdentity(model_.fingerprint(), chunk.tokens));
    out.chunks.push_back({id, static_cast<uint32_t>(chunk.tokens.size()), std::move(chunk.text)});
    tokens.push_back(std::move(chunk.tokens));
  }
  return out;
}

Result<bool> DocumentLibrary::isStored(const ChunkId& id) {
  Result<codec::ChunkCompletion> opened =
      await([&](codec::ChunkQueue& queue) { source_.submitOpen(id, 0, queue); });
  if (opened.ok()) return atLeastAsFine(opened->header->preset, config_.preset);
  const ErrorCode code = opened.status().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt) return false;
  return opened.status();
}

Result<ChunkId> DocumentLibrary::idOf(std::string_view text, codec::CompileMode mode) const {
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<codec::TokenId> tokens,
                          model_.tokenizer().encodeContent(text));
  return codec::chunkIdOf(textChunkIdentity(model_.fingerprint(), tokens, mode));
}

Result<std::vector<DocumentLibrary::Removable>> DocumentLibrary::chunksOf(
    const Manifest& manifest) const {
  std::vector<Removable> out;
  for (const ManifestChunk& chunk : manifest.chunks) {
    SPOLIA_ASSIGN_OR_RETURN(const ChunkId lego0, idOf(chunk.text, codec::CompileMode::kLego0));
    out.push_back({chunk.id, {chunk.id, lego0}});
  }
  return out;
}

// A put of the same bytes with a later end prolongs them, whatever the mode.
Result<bool> DocumentLibrary::keep(const ChunkId& id, StoreWindow& window) {
  SPOLIA_ASSIGN_OR_RETURN(const bool stored, isStored(id));
  if (!stored || !config_.prolong) return stored;
  Result<codec::ChunkCompletion> got =
      await([&](codec::ChunkQueue& queue) { source_.submitGetValue(id, 0, queue); });
  if (got.ok()) {
    SPOLIA_RETURN_IF_ERROR(window.add(std::move(got->bytes)));
    return true;
  }
  const ErrorCode code = got.status().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt) return false;
  return got.status();
}

Result<bool> DocumentLibrary::complete(const Manifest& manifest) {
  StoreWindow window(source_);
  for (const ManifestChunk& chunk : manifest.chunks) {
    ChunkId id = chunk.id;
    if (config_.mode != codec::CompileMode::kBos) {
      SPOLIA_ASSIGN_OR_RETURN(id, idOf(chunk.text, config_.mode));
    }
    SPOLIA_ASSIGN_OR_RETURN(const bool stored, keep(id, window));
    if (!stored) return false;
  }
  SPOLIA_RETURN_IF_ERROR(window.settle());
  return true;
}

// Its chunks are prolonged already.
Status DocumentLibrary::prolong(const Manifest& manifest) {
  if (!config_.prolong) return Status();
  const ChunkId id = codec::manifestIdOf(model_.fingerprint(), manifest.name);
  return putManifest(source_, id, manifest, codec::PutMode::kIfAbsent);
}

// Chunks that name a profile are of no use to those who cannot find it.
Status DocumentLibrary::storeProfileOnce() {
  if (profileStored_) return {};
  SPOLIA_RETURN_IF_ERROR(storeProfileOf(config_.preset, config_.profile.get(), source_));
  profileStored_ = true;
  return {};
}

Status DocumentLibrary::storeMissing(const Manifest& manifest,
                                     const std::vector<std::vector<codec::TokenId>>& tokens,
                                     const Progress& progress, Stored& stored) {
  StoreWindow window(source_);
  std::set<ChunkId> seen;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (progress) progress(i, tokens.size());
    const ChunkId id =
        codec::chunkIdOf(textChunkIdentity(model_.fingerprint(), tokens[i], config_.mode));
    if (!seen.insert(id).second) continue;
    SPOLIA_ASSIGN_OR_RETURN(const bool present, keep(id, window));
    if (present) continue;
    SPOLIA_RETURN_IF_ERROR(storeProfileOnce());
    SPOLIA_ASSIGN_OR_RETURN(AlignedBuffer stream, compiler_.compile(tokens[i]));
    ++stored.computed;
    stored.bytes += stream.size();
    stored.chunks.push_back({manifest.chunks[i].id, {id}});
    SPOLIA_RETURN_IF_ERROR(window.add(std::move(stream)));
  }
  if (progress) progress(tokens.size(), tokens.size());
  return window.settle();
}

Result<PutDocument> DocumentLibrary::put(const std::string& name, std::string_view text,
                                         const Progress& progress) {
  Result<Manifest> before = manifest(name);
  const bool readable = before.ok();
  if (!readable && before.status().code() != ErrorCode::kNotFound &&
      before.status().code() != ErrorCode::kCorrupt) {
    return before.status();
  }
  PutDocument out;
  if (readable && before->version == documentVersion(text, config_.chunkTokens) &&
      atLeastAsFine(before->preset, config_.preset)) {
    SPOLIA_ASSIGN_OR_RETURN(out.unchanged, complete(*before));
    out.chunks = static_cast<uint32_t>(before->chunks.size());
    out.tokens = before->tokens();
    if (out.unchanged) {
      SPOLIA_RETURN_IF_ERROR(prolong(*before));
      return out;
    }
  }
  std::vector<std::vector<codec::TokenId>> tokens;
  SPOLIA_ASSIGN_OR_RETURN(const Manifest after, cut(name, text, tokens));
  Stored stored;
  Status status = storeMissing(after, tokens, progress, stored);
  if (status.ok()) {
    status = putManifest(source_, codec::manifestIdOf(model_.fingerprint(), name), after,
                         codec::PutMode::kReplace);
  }
  if (!status.ok()) {
    removeUnnamed(stored.chunks).status().ignore();  // the first failure is the one to report
    return status;
  }
  out.replaced = readable && before->version != after.version;
  out.chunks = static_cast<uint32_t>(after.chunks.size());
  out.tokens = after.tokens();
  out.computed = stored.computed;
  out.storedBytes = stored.bytes;
  if (readable) {
    // The document is stored whatever comes of this; chunks that stay only take room.
    const Result<std::vector<Removable>> old = chunksOf(*before);
    const Result<uint32_t> removed = old.ok() ? removeUnnamed(*old) : old.status();
    if (removed.ok()) out.removed = *removed;
  }
  return out;
}

Result<std::vector<std::string>> DocumentLibrary::names() {
  std::vector<std::string> out;
  std::string cursor;
  do {
    SPOLIA_ASSIGN_OR_RETURN(codec::EntryPage page,
                            source_.list(codec::EntryKind::kManifest, cursor, kListPage));
    for (codec::EntryInfo& entry : page.entries) {
      // Other models keep their documents in the same store.
      if (entry.id != codec::manifestIdOf(model_.fingerprint(), entry.label)) continue;
      out.push_back(std::move(entry.label));
    }
    cursor = std::move(page.next);
  } while (!cursor.empty());
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<Manifest> DocumentLibrary::manifestOf(const std::string& name,
                                             codec::ChunkCompletion value) {
  if (!value.status.ok()) {
    if (value.status.code() != ErrorCode::kNotFound) {
      return value.status.withContext("document '" + name + "'");
    }
    return Status(ErrorCode::kNotFound, "no document '" + name + "' of this model");
  }
  Result<Manifest> out = parseManifest(value.bytes.span());
  if (!out.ok()) return out.status().withContext("document '" + name + "'");
  if (out->name != name) {
    return Status(ErrorCode::kCorrupt,
                  "document '" + name + "': its manifest is that of '" + out->name + "'");
  }
  return out;
}

Result<Manifest> DocumentLibrary::manifest(const std::string& name) {
  return std::move(manifests({&name, 1}).front());
}

std::vector<Result<Manifest>> DocumentLibrary::manifests(std::span<const std::string> names) {
  constexpr size_t kAtOnce = 64;
  std::vector<Result<Manifest>> out(names.size(), Status(ErrorCode::kInternal, "not asked for"));
  codec::ChunkQueue queue;
  size_t asked = 0;
  for (size_t answered = 0; answered < names.size(); ++answered) {
    for (; asked < names.size() && asked - answered < kAtOnce; ++asked) {
      const ChunkId id = codec::manifestIdOf(model_.fingerprint(), names[asked]);
      source_.submitGetValue(id, asked, queue);
    }
    codec::ChunkCompletion value = queue.waitPop();
    const size_t which = value.cookie;
    out[which] = manifestOf(names[which], std::move(value));
  }
  return out;
}

// Removes those candidates that no manifest of this model names; how many cuts that were.
Result<uint32_t> DocumentLibrary::removeUnnamed(const std::vector<Removable>& candidates) {
  std::map<ChunkId, std::vector<ChunkId>> unnamed;
  for (const Removable& chunk : candidates) unnamed.emplace(chunk.named, chunk.ids);
  if (unnamed.empty()) return 0u;
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> documents, names());
  for (const std::string& name : documents) {
    Result<Manifest> other = manifest(name);
    if (!other.ok() && other.status().code() == ErrorCode::kNotFound) continue;
    // What cannot be read might name any of them.
    if (!other.ok() && other.status().code() == ErrorCode::kCorrupt) return 0u;
    if (!other.ok()) return other.status();
    for (const ManifestChunk& chunk : other->chunks) unnamed.erase(chunk.id);
    if (unnamed.empty()) return 0u;
  }
  for (const auto& [named, ids] : unnamed) {
    for (const ChunkId& id : ids) SPOLIA_RETURN_IF_ERROR(removeEntry(source_, id));
  }
  return static_cast<uint32_t>(unnamed.size());
}

Result<uint32_t> DocumentLibrary::remove(const std::string& name) {
  Result<Manifest> before = manifest(name);
  if (!before.ok() && before.status().code() != ErrorCode::kCorrupt) return before.status();
  SPOLIA_RETURN_IF_ERROR(removeEntry(source_, codec::manifestIdOf(model_.fingerprint(), name)));
  if (!before.ok()) return 0u;
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<Removable> chunks, chunksOf(*before));
  return removeUnnamed(chunks);
}

std::vector<std::string> matchingNames(const std::vector<std::string>& names,
                                       const std::vector<std::string>& patterns) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const bool matches = std::ranges::any_of(patterns, [&](const std::string& pattern) {
      return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    });
    if (matches || patterns.empty()) out.push_back(name);
  }
  return out;
}

}  // namespace spolia::engine
