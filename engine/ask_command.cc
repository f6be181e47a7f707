#include "engine/ask_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/linker/document_library.h"
#include "engine/retrieval/library_index.h"
#include "engine/scheduler/generation.h"

namespace spolia::engine {

namespace {

using Clock = std::chrono::steady_clock;

// An answer with the time from accepting the request to the first token.
struct Asked {
  Answer answer;
  double ttftMs = 0;
  double totalMs = 0;
};

// The documents among `from` that the question is most likely about.
Result<std::vector<std::string>> likeliest(DocumentLibrary& library,
                                           const std::vector<std::string>& from,
                                           const AskRequest& request, size_t count) {
  const std::set<std::string> wanted(from.begin(), from.end());
  SPOLIA_ASSIGN_OR_RETURN(LibraryIndex index, LibraryIndex::create());
  return index.best(library, request.question, count,
                    [&](const std::string& name) { return wanted.contains(name); });
}

// BOS, the documents' chunks in manifest order, the question.
Result<Prompt> buildPrompt(EngineParts& parts, const AskRequest& request,
                           std::vector<std::string>& documents) {
  const EngineConfig& config = parts.config;
  DocumentLibrary library(*parts.model, *parts.transformer, *parts.source,
                          {config.chunkTokens, config.preset, config.kvType});
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> names, library.names());
  documents = matchingNames(names, request.documents);
  if (documents.empty()) {
    return Status(ErrorCode::kNotFound,
                  names.empty()
                      ? "no documents of this model are ingested"
                      : fmt::format("no document matches --docs, {} are ingested", names.size()));
  }
  if (config.topDocuments > 0 && config.topDocuments < documents.size()) {
    SPOLIA_ASSIGN_OR_RETURN(documents, likeliest(library, documents, request, config.topDocuments));
  }
  const Tokenizer& tokenizer = parts.model->tokenizer();
  Prompt prompt = promptWithBos(parts.model->config().bosToken);
  for (const std::string& name : documents) {
    SPOLIA_ASSIGN_OR_RETURN(const Manifest manifest, library.manifest(name));
    SPOLIA_RETURN_IF_ERROR(appendDocument(prompt, tokenizer, manifest));
  }
  const uint32_t documentTokens = prompt.rows() - kBosRows;
  SPOLIA_RETURN_IF_ERROR(appendText(prompt, tokenizer, {SegmentKind::kFresh, "question", {}},
                                    questionText(config.questionTemplate, request.question)));
  const uint64_t needed = uint64_t{prompt.rows()} + config.maxTokens;
  if (needed > parts.model->config().maxPositions) {
    return Status(
        ErrorCode::kInvalidArgument,
        fmt::format(
            "{} documents have {} tokens, the question {}, BOS 1 and the answer up to {}: "
            "{} together, but the model's context holds {}; choose fewer with --docs or --top",
            documents.size(), documentTokens, prompt.rows() - kBosRows - documentTokens,
            config.maxTokens, needed, parts.model->config().maxPositions));
  }
  return prompt;
}

Result<Asked> askOnce(EngineParts& parts, const AskRequest& request, LinkMethod method,
                      std::vector<std::string>& documents) {
  const EngineConfig& config = parts.config;
  Linker::Config linking;
  linking.pageType = config.kvType;
  linking.lookaheadLayers = config.lookaheadLayers;
  linking.prefixPreset = config.prefixPreset;
  linking.profile = parts.profile;
  Linker linker(*parts.model, *parts.transformer, *parts.pool, parts.source.get(), linking);
  const auto accepted = Clock::now();
  SPOLIA_ASSIGN_OR_RETURN(const Prompt prompt, buildPrompt(parts, request, documents));
  GenerationOptions options;
  options.link.method = method;
  options.link.k = config.k;
  options.link.patience = std::chrono::milliseconds(config.patienceMs);
  options.sequence.maxTokens = config.maxTokens;
  const double before = std::chrono::duration<double, std::milli>(Clock::now() - accepted).count();
  Asked out;
  SPOLIA_ASSIGN_OR_RETURN(out.answer,
                          answerPrompt(*parts.model, *parts.transformer, linker, prompt, options));
  out.ttftMs = before + out.answer.firstTokenMs;
  out.totalMs = before + out.answer.totalMs;
  return out;
}

void printMisses(const Provenance& provenance) {
  for (const ChunkProvenance& chunk : provenance.chunks) {
    if (chunk.outcome == ChunkOutcome::kLoaded || chunk.outcome == ChunkOutcome::kUnasked) continue;
    fmt::print(stderr, "computed {}: {}: {}\n", chunk.name, chunkOutcomeName(chunk.outcome),
               chunk.reason);
  }
}

// The tiers that hits came from: "disk", or several.
std::string tiersOf(const Provenance& provenance) {
  std::vector<std::string_view> names;
  for (const ChunkProvenance& chunk : provenance.chunks) {
    const std::string_view name = tierName(chunk.tier);
    if (chunk.outcome == ChunkOutcome::kLoaded && std::ranges::count(names, name) == 0) {
      names.push_back(name);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void printText(const Asked& asked) {
  const Provenance& provenance = asked.answer.provenance;
  fmt::print("{}\n", asked.answer.text);
  std::fflush(stdout);
  const std::string tiers = tiersOf(provenance);
  fmt::print(stderr,
             "{}: {} of {} chunks loaded{}, {} of {} rows computed, {} read, first token after "
             "{:.1f} ms\n",
             linkMethodName(provenance.method), provenance.hits(), provenance.chunks.size(),
             tiers.empty() ? "" : " (" + tiers + ")", provenance.rowsComputed, provenance.rows,
             bytesText(provenance.bytesRead), asked.ttftMs);
}

void printTable(const std::vector<Asked>& all) {
  fmt::print("{:<8} {:>10} {:>15} {:>11} {:>9}  {}\n", "method", "chunks hit", "rows recomputed",
             "bytes read", "TTFT ms", "answer");
  for (const Asked& asked : all) {
    const Provenance& provenance = asked.answer.provenance;
    fmt::print("{:<8} {:>10} {:>15} {:>11} {:>9.1f}  {}\n", linkMethodName(provenance.method),
               fmt::format("{}/{}", provenance.hits(), provenance.chunks.size()),
               fmt::format("{}/{}", provenance.rowsComputed, provenance.rows), provenance.bytesRead,
               asked.ttftMs, asked.answer.text);
  }
}

nlohmann::ordered_json resultJson(const Asked& asked) {
  nlohmann::ordered_json out = provenanceJson(asked.answer.provenance);
  out["answer"] = asked.answer.text;
  out["answer_tokens"] = asked.answer.tokens.size();
  out["ttft_ms"] = asked.ttftMs;
  out["total_ms"] = asked.totalMs;
  out["provenance"] = chunksJson(asked.answer.provenance);
  return out;
}

int failAsk(const Status& status) {
  fmt::print(stderr, "spolia-engine ask: {}\n", status.message());
  return exitCodeOf(status.code());
}

}  // namespace

int runAsk(const EngineConfig& config, const AskRequest& request) {
  Result<EngineParts> parts = openEngine(config);
  if (!parts.ok()) return failAsk(parts.status());
  printStore(*parts->source);
  std::vector<LinkMethod> methods = request.methods;
  if (methods.empty()) methods.push_back(config.method);
  std::vector<Asked> all;
  std::vector<std::string> documents;
  for (LinkMethod method : methods) {
    Result<Asked> asked = askOnce(*parts, request, method, documents);
    if (!asked.ok()) return failAsk(asked.status());
    printMisses(asked->answer.provenance);
    all.push_back(*std::move(asked));
    if (request.output == AskOutput::kText) printText(all.back());
  }
  if (request.output == AskOutput::kTable) printTable(all);
  if (request.output == AskOutput::kJson) {
    nlohmann::ordered_json out = {{"question", request.question}, {"documents", documents}};
    out["results"] = nlohmann::json::array();
    for (const Asked& asked : all) out["results"].push_back(resultJson(asked));
    fmt::print("{}\n", out.dump());
  }
  return kExitOk;
}

}  // namespace spolia::engine
