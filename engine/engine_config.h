// Settings of spolia-engine. Each comes from the defaults, a TOML file, the environment or a flag;
// the later of these wins. One table of keys serves all of them: key `link.k` is `k` in section
// `[link]` of the file and SPOLIA_ENGINE_LINK_K in the environment. Value types; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/codec.h"
#include "codec/kv_layout.h"
#include "engine/linker/link_plan.h"
#include "engine/model/weights.h"
#include "engine/products/products.h"

namespace spolia::engine {

struct EngineConfig {
  std::filesystem::path model;  // Hugging Face directory or GGUF file
  uint32_t threads = 0;         // 0: as many as the process may use
  std::string chatTemplate;     // a file; "none"; empty: the model's own
  codec::ElementType kvType = codec::ElementType::kBf16;
  Rounding rounding = Rounding::kFast;
  WeightNumerics numerics = WeightNumerics::kF32;

  // Where chunks are kept: an address (spolia://host:port), or a directory when that is empty.
  std::string cache;
  std::filesystem::path tokenFile;  // credential for `cache`; empty: none
  std::filesystem::path store;      // empty: defaultStoreDirectory()
  uint64_t storeCapacity = 8ull << 30;
  uint64_t storeMemory = 256ull << 20;  // for chunks asked for again and again; 0: none

  uint32_t chunkTokens = 256;
  codec::Preset preset = codec::Preset::kHigh;
  std::filesystem::path profile;  // for the presets `balanced` and `small`; empty: none
  codec::CompileMode compileMode = codec::CompileMode::kBos;
  uint64_t ingestTtl = 0;  // seconds that ingested documents live; 0: as long as the store has them

  LinkMethod method = LinkMethod::kFirstK;
  uint32_t k = kDefaultFirstK;
  uint32_t patienceMs = 10'000;
  codec::Preset prefixPreset = codec::Preset::kLossless;
  uint32_t lookaheadLayers = 3;

  uint32_t maxTokens = 64;
  uint32_t topDocuments = 0;  // how many documents are chosen for a question; 0: all
  std::string questionTemplate = "Question: {question}\nAnswer:";

  std::string serveListen = "127.0.0.1:8080";  // ADDRESS:PORT; port 0: any free one
  uint32_t serveQueue = 64;                    // requests that may wait
  uint32_t serveRequests = 32;                 // computed beside each other
  uint32_t serveBatch = 32;                    // answers that a step decodes together
  uint32_t serveTokenBudget = 256;             // rows of an iteration, of answers and prompts
  uint64_t serveKvMemory = 0;                  // bytes of requests' KV; 0: half of the machine's
  uint32_t serveConnections = 256;
  uint64_t serveBodyLimit = 8ull << 20;    // bytes
  std::string serveDocumentSeparator;      // between documents in a message; empty: none
  uint64_t serveChunkMessagesOver = 2048;  // bytes; longer messages are cut into chunks. 0: none
  std::filesystem::path apiKeys;           // who may ask; empty: everybody on this machine
  bool noAuth = false;                     // and everybody who can reach the address
};

// One setting given outside of the file. `origin` is what errors name: a flag or a variable.
struct Setting {
  std::string key;
  std::string value;
  std::string origin;
};

struct ConfigSources {
  std::filesystem::path file;                      // empty: none
  std::map<std::string, std::string> environment;  // variables SPOLIA_ENGINE_*
  std::vector<Setting> flags;
};

// The settings these sources make. kNotFound when the file is named but absent; kInvalidArgument
// names file and line, variable or flag, with what was expected, and the nearest key for one that
// is unknown. Of `store.cache` and `store.directory` the one from the stronger source holds; both
// from one source contradict each other.
Result<EngineConfig> loadEngineConfig(const ConfigSources& sources);

// Variables SPOLIA_ENGINE_* of this process, SPOLIA_ENGINE_CONFIG aside.
std::map<std::string, std::string> engineEnvironment();

// $XDG_DATA_HOME/spolia/store or ~/.local/share/spolia/store; ./spolia-store without a home.
std::filesystem::path defaultStoreDirectory();

// "4096", "64 MiB", "8GiB" to bytes.
Result<uint64_t> parseBytes(std::string_view text);

// All keys, for tests and help.
std::vector<std::string> engineConfigKeys();

}  // namespace spolia::engine
