#include "engine/docs_command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/linker/document_library.h"

namespace spolia::engine {

namespace {

int fail(const char* command, const Status& status) {
  fmt::print(stderr, "spolia-engine {}: {}\n", command, status.message());
  return exitCodeOf(status.code());
}

DocumentLibrary libraryOf(EngineParts& parts) {
  const EngineConfig& config = parts.config;
  return DocumentLibrary(*parts.model, *parts.transformer, *parts.source,
                         {config.chunkTokens, config.preset, config.kvType});
}

Result<std::vector<Manifest>> readManifests(EngineParts& parts,
                                            const std::vector<std::string>& patterns) {
  DocumentLibrary library = libraryOf(parts);
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<std::string> names, library.names());
  std::vector<Manifest> out;
  for (const std::string& name : matchingNames(names, patterns)) {
    SPOLIA_ASSIGN_OR_RETURN(Manifest manifest, library.manifest(name));
    out.push_back(std::move(manifest));
  }
  return out;
}

}  // namespace

int runDocs(const EngineConfig& config, const std::vector<std::string>& patterns, bool json) {
  Result<EngineParts> parts = openEngine(config);
  if (!parts.ok()) return fail("docs", parts.status());
  printStore(*parts->source);
  Result<std::vector<Manifest>> manifests = readManifests(*parts, patterns);
  if (!manifests.ok()) return fail("docs", manifests.status());
  nlohmann::ordered_json out = nlohmann::json::array();
  for (const Manifest& manifest : *manifests) {
    if (json) {
      out.push_back({{"name", manifest.name},
                     {"version", manifest.version.hex()},
                     {"preset", codec::presetName(manifest.preset)},
                     {"chunk_tokens", manifest.chunkTokens},
                     {"chunks", manifest.chunks.size()},
                     {"tokens", manifest.tokens()}});
    } else {
      fmt::print("{:>7} tokens {:>5} chunks  {}\n", manifest.tokens(), manifest.chunks.size(),
                 manifest.name);
    }
  }
  if (json) fmt::print("{}\n", out.dump());
  return kExitOk;
}

int runRemove(const EngineConfig& config, const std::vector<std::string>& names, bool json) {
  Result<EngineParts> parts = openEngine(config);
  if (!parts.ok()) return fail("rm", parts.status());
  printStore(*parts->source);
  DocumentLibrary library = libraryOf(*parts);
  int code = kExitOk;
  nlohmann::ordered_json out = nlohmann::json::array();
  for (const std::string& name : names) {
    const Result<uint32_t> removed = library.remove(name);
    if (!removed.ok()) {
      code = fail("rm", removed.status());
    } else if (json) {
      out.push_back({{"name", name}, {"chunks_removed", *removed}});
    } else {
      fmt::print("removed {}, {} chunks\n", name, *removed);
    }
  }
  if (json) fmt::print("{}\n", out.dump());
  return code;
}

}  // namespace spolia::engine
