#include "engine/ingest_command.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "engine/document_files.h"
#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/linker/document_library.h"
#include "engine/progress_bar.h"

namespace spolia::engine {

namespace {

struct Totals {
  uint64_t stored = 0, replaced = 0, unchanged = 0;
  uint64_t chunks = 0, computed = 0, removed = 0;
  uint64_t tokens = 0, storedBytes = 0;
  double seconds = 0;

  void add(const PutDocument& put) {
    ++(put.unchanged ? unchanged : put.replaced ? replaced : stored);
    chunks += put.chunks;
    computed += put.computed;
    removed += put.removed;
    tokens += put.tokens;
    storedBytes += put.storedBytes;
  }
};

// All documents of the request; stops at the first that cannot be stored.
Status ingestAll(EngineParts& parts, DocumentFiles& files, Totals& totals) {
  const EngineConfig& config = parts.config;
  DocumentLibrary library(*parts.model, *parts.transformer, *parts.source,
                          {config.chunkTokens, config.preset, config.kvType, config.compileMode,
                           config.ingestTtl != 0, parts.profile});
  ProgressBar bar(stderr, files.bytes());
  const auto start = std::chrono::steady_clock::now();
  uint64_t before = 0;
  for (const DocumentFile& file : files.taken) {
    Result<std::string> text = readDocument(file);
    if (!text.ok()) {
      files.skipped.push_back({file.name, text.status().message()});
    } else {
      const auto progress = [&](size_t done, size_t total) {
        bar.update(before + file.bytes * done / total, file.name);
      };
      Result<PutDocument> put = library.put(file.name, *text, progress);
      if (!put.ok()) return put.status().withContext(file.name);
      totals.add(*put);
    }
    before += file.bytes;
  }
  const auto elapsed = std::chrono::steady_clock::now() - start;
  totals.seconds = std::chrono::duration<double>(elapsed).count();
  return Status();
}

void printText(const Totals& totals, const DocumentFiles& files) {
  fmt::print("{} documents: {} new, {} replaced, {} unchanged; {} skipped\n",
             totals.stored + totals.replaced + totals.unchanged, totals.stored, totals.replaced,
             totals.unchanged, files.skipped.size());
  fmt::print("{} chunks of {} tokens: {} computed, {} stored, {} removed; {:.1f} s\n",
             totals.chunks, totals.tokens, totals.computed, bytesText(totals.storedBytes),
             totals.removed, totals.seconds);
}

void printJson(const Totals& totals, const DocumentFiles& files) {
  nlohmann::ordered_json out = {{"new", totals.stored},
                                {"replaced", totals.replaced},
                                {"unchanged", totals.unchanged},
                                {"chunks", totals.chunks},
                                {"chunks_computed", totals.computed},
                                {"chunks_removed", totals.removed},
                                {"tokens", totals.tokens},
                                {"stored_bytes", totals.storedBytes},
                                {"seconds", totals.seconds},
                                {"skipped", nlohmann::json::array()}};
  for (const SkippedFile& file : files.skipped) {
    out["skipped"].push_back({{"name", file.name}, {"reason", file.reason}});
  }
  fmt::print("{}\n", out.dump());
}

int failIngest(const Status& status) {
  fmt::print(stderr, "spolia-engine ingest: {}\n", status.message());
  return exitCodeOf(status.code());
}

}  // namespace

int runIngest(const EngineConfig& config, const IngestRequest& request) {
  Result<DocumentFiles> files = findDocuments(request.paths);
  if (!files.ok()) return failIngest(files.status());
  Result<EngineParts> parts = openEngine(config, config.ingestTtl);
  if (!parts.ok()) return failIngest(parts.status());
  Totals totals;
  const Status status = ingestAll(*parts, *files, totals);
  for (const SkippedFile& file : files->skipped) {
    fmt::print(stderr, "skipped {}: {}\n", file.name, file.reason);
  }
  printStore(*parts->source);
  if (!status.ok()) return failIngest(status);
  if (request.json) {
    printJson(totals, *files);
  } else {
    printText(totals, *files);
  }
  if (totals.chunks == 0) return failIngest(Status(ErrorCode::kNotFound, "no document to ingest"));
  return kExitOk;
}

}  // namespace spolia::engine
