#include "engine/engine_config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "codec/base/duration.h"
#include "engine/linker/chunker.h"
#include "engine/name_distance.h"

extern char** environ;

namespace spolia::engine {

namespace {

constexpr std::string_view kEnvironmentPrefix = "SPOLIA_ENGINE_";
constexpr std::string_view kConfigVariable = "SPOLIA_ENGINE_CONFIG";
constexpr std::string_view kCacheKey = "store.cache";
constexpr std::string_view kStoreKey = "store.directory";

enum class ValueKind { kText, kInteger };
using Setter = std::function<Status(EngineConfig&, const std::string&)>;

struct Key {
  std::string_view name;
  ValueKind kind;
  Setter set;
};

Status expected(std::string_view what, const std::string& found) {
  return Status(ErrorCode::kInvalidArgument,
                "expected " + std::string(what) + ", found '" + found + "'");
}

// An integer of [low, high] into a member.
Setter integer(uint32_t EngineConfig::*member, uint32_t low, uint32_t high) {
  return [=](EngineConfig& config, const std::string& text) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
      return expected("a number from " + std::to_string(low) + " to " + std::to_string(high), text);
    }
    config.*member = value;
    return Status();
  };
}

template <typename Member>
Setter text(Member EngineConfig::*member) {
  return [=](EngineConfig& config, const std::string& value) {
    config.*member = value;
    return Status();
  };
}

template <typename T>
Setter named(T EngineConfig::*member, Result<T> (*parse)(std::string_view)) {
  return [=](EngineConfig& config, const std::string& value) {
    SPOLIA_ASSIGN_OR_RETURN(config.*member, parse(value));
    return Status();
  };
}

Setter bytes(uint64_t EngineConfig::*member) {
  return [=](EngineConfig& config, const std::string& value) {
    SPOLIA_ASSIGN_OR_RETURN(config.*member, parseBytes(value));
    return Status();
  };
}

Status setMemory(EngineConfig& config, const std::string& value) {
  SPOLIA_ASSIGN_OR_RETURN(config.storeMemory, parseBytes(value));
  const bool good = config.storeMemory == 0 || config.storeMemory >= 1u << 20;
  return good ? Status() : expected("0 or at least 1 MiB", value);
}

Status setRounding(EngineConfig& config, const std::string& value) {
  if (value != "fast" && value != "invariant") return expected("fast or invariant", value);
  config.rounding = value == "fast" ? Rounding::kFast : Rounding::kInvariant;
  return Status();
}

Status setNumerics(EngineConfig& config, const std::string& value) {
  for (const WeightNumerics numerics : {WeightNumerics::kF32, WeightNumerics::kInt8}) {
    if (value != weightNumericsName(numerics)) continue;
    config.numerics = numerics;
    return Status();
  }
  return expected("f32 or int8", value);
}

Status setCache(EngineConfig& config, const std::string& value) {
  if (!value.empty() && !value.starts_with("spolia://") && !value.starts_with("spolia+unix://")) {
    return expected("an address spolia://host:port or spolia+unix:///path", value);
  }
  config.cache = value;
  return Status();
}

Status setAuth(EngineConfig& config, const std::string& value) {
  if (value != "keys" && value != "none") return expected("keys or none", value);
  config.noAuth = value == "none";
  return Status();
}

Status setTemplate(EngineConfig& config, const std::string& value) {
  if (value.find("{question}") == std::string::npos) {
    return expected("a text with {question} in it", value);
  }
  config.questionTemplate = value;
  return Status();
}

const std::vector<Key>& keys() {
  using C = EngineConfig;
  static const std::vector<Key> table = {
      {"model.directory", ValueKind::kText, text(&C::model)},
      {"model.chat_template", ValueKind::kText, text(&C::chatTemplate)},
      {"compute.threads", ValueKind::kInteger, integer(&C::threads, 0, 4096)},
      {"compute.kv_type", ValueKind::kText, named(&C::kvType, codec::elementTypeFromName)},
      {"compute.rounding", ValueKind::kText, setRounding},
      {"compute.numerics", ValueKind::kText, setNumerics},
      {"model.profile", ValueKind::kText, text(&C::profile)},
      {kCacheKey, ValueKind::kText, setCache},
      {"store.token_file", ValueKind::kText, text(&C::tokenFile)},
      {kStoreKey, ValueKind::kText, text(&C::store)},
      {"store.capacity", ValueKind::kText, bytes(&C::storeCapacity)},
      {"store.memory", ValueKind::kText, setMemory},
      {"ingest.chunk_tokens", ValueKind::kInteger,
       integer(&C::chunkTokens, kMinChunkTokens, codec::kMaxChunkTokens)},
      {"ingest.preset", ValueKind::kText, named(&C::preset, codec::presetFromName)},
      {"ingest.ttl", ValueKind::kText, named(&C::ingestTtl, parseDuration)},
      {"ingest.compile_mode", ValueKind::kText, named(&C::compileMode, compileModeFromName)},
      {"link.method", ValueKind::kText, named(&C::method, linkMethodFromName)},
      {"link.k", ValueKind::kInteger, integer(&C::k, 0, codec::kMaxChunkTokens)},
      {"link.prefix_preset", ValueKind::kText, named(&C::prefixPreset, codec::presetFromName)},
      {"link.patience_ms", ValueKind::kInteger, integer(&C::patienceMs, 0, 3'600'000)},
      {"link.lookahead_layers", ValueKind::kInteger, integer(&C::lookaheadLayers, 0, 1024)},
      {"ask.max_tokens", ValueKind::kInteger, integer(&C::maxTokens, 1, 1 << 20)},
      {"ask.top_documents", ValueKind::kInteger, integer(&C::topDocuments, 0, 1 << 20)},
      {"ask.template", ValueKind::kText, setTemplate},
      {"serve.listen", ValueKind::kText, text(&C::serveListen)},
      {"serve.queue", ValueKind::kInteger, integer(&C::serveQueue, 1, 1 << 16)},
      {"serve.requests", ValueKind::kInteger, integer(&C::serveRequests, 1, 1 << 12)},
      {"serve.batch", ValueKind::kInteger, integer(&C::serveBatch, 1, 1 << 10)},
      {"serve.token_budget", ValueKind::kInteger, integer(&C::serveTokenBudget, 16, 1 << 16)},
      {"serve.kv_memory", ValueKind::kText, bytes(&C::serveKvMemory)},
      {"serve.connections", ValueKind::kInteger, integer(&C::serveConnections, 1, 1 << 16)},
      {"serve.body_limit", ValueKind::kText, bytes(&C::serveBodyLimit)},
      {"serve.document_separator", ValueKind::kText, text(&C::serveDocumentSeparator)},
      {"serve.chunk_messages_over", ValueKind::kText, bytes(&C::serveChunkMessagesOver)},
      {"serve.api_keys", ValueKind::kText, text(&C::apiKeys)},
      {"serve.auth", ValueKind::kText, setAuth},
  };
  return table;
}

std::string variableOf(std::string_view key) {
  std::string out(kEnvironmentPrefix);
  for (char c : key) {
    out += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

// Sources from weak to strong, and which of them named where chunks are kept.
class Loader {
 public:
  Status addFile(const std::filesystem::path& path);
  Status addEnvironment(const std::map<std::string, std::string>& variables);
  Status addFlags(const std::vector<Setting>& flags);
  EngineConfig take() { return std::move(config_); }

 private:
  Status set(const Key& key, const std::string& value, const std::string& origin) {
    const Status status = key.set(config_, value);
    if (!status.ok()) return status.withContext(origin);
    namesCache_ |= key.name == kCacheKey && !value.empty();
    namesStore_ |= key.name == kStoreKey && !value.empty();
    return Status();
  }
  Status addTable(const toml::table& table, const std::string& prefix, const std::string& file);
  Status addNode(const std::string& name, const toml::node& node, const std::string& origin);
  // A stronger source that names one place takes back a weaker one's other.
  Status finishSource(const std::string& source);

  EngineConfig config_;
  bool namesCache_ = false, namesStore_ = false;  // in the present source
};

Status unknownKey(const std::string& name, const std::vector<std::string>& known,
                  const std::string& origin, std::string_view what) {
  std::string message = "unknown " + std::string(what) + " '" + name + "'";
  if (const auto near = nearestName(name, known)) message += ", did you mean '" + *near + "'?";
  return Status(ErrorCode::kInvalidArgument, origin + ": " + message);
}

const Key* findKey(std::string_view name) {
  const auto found = std::ranges::find(keys(), name, &Key::name);
  return found == keys().end() ? nullptr : &*found;
}

Status Loader::finishSource(const std::string& source) {
  if (namesCache_ && namesStore_) {
    return Status(ErrorCode::kInvalidArgument,
                  source + ": store.cache and store.directory are both given, expected one");
  }
  if (namesCache_) config_.store.clear();
  if (namesStore_) config_.cache.clear();
  namesCache_ = namesStore_ = false;
  return Status();
}

Status Loader::addNode(const std::string& name, const toml::node& node, const std::string& origin) {
  const Key* key = findKey(name);
  if (key == nullptr) return unknownKey(name, engineConfigKeys(), origin, "key");
  const std::string where = origin + ": " + name;
  if (const auto* integer = node.as_integer(); integer && key->kind == ValueKind::kInteger) {
    return set(*key, std::to_string(integer->get()), where);
  }
  if (const auto* text = node.as_string(); text && key->kind == ValueKind::kText) {
    return set(*key, text->get(), where);
  }
  return Status(
      ErrorCode::kInvalidArgument,
      where + ": expected " + (key->kind == ValueKind::kInteger ? "a number" : "a text in quotes"));
}

Status Loader::addTable(const toml::table& table, const std::string& prefix,
                        const std::string& file) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string origin = file + ":" + std::to_string(key.source().begin.line);
    const toml::table* section = node.as_table();
    if (section != nullptr && prefix.empty()) {
      const bool known =
          std::ranges::any_of(keys(), [&](const Key& k) { return k.name.starts_with(name + "."); });
      if (!known) {
        std::vector<std::string> sections;
        for (const Key& k : keys()) sections.emplace_back(k.name.substr(0, k.name.find('.')));
        return unknownKey(name, sections, origin, "section");
      }
      SPOLIA_RETURN_IF_ERROR(addTable(*section, name + ".", file));
    } else {
      SPOLIA_RETURN_IF_ERROR(addNode(name, node, origin));
    }
  }
  return Status();
}

Status Loader::addFile(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) {
    return Status(ErrorCode::kNotFound,
                  path.string() + ": expected a configuration file, cannot read it");
  }
  std::ostringstream content;
  content << in.rdbuf();
  try {
    const toml::table table = toml::parse(content.str(), path.string());
    SPOLIA_RETURN_IF_ERROR(addTable(table, "", path.string()));
  } catch (const toml::parse_error& error) {
    return Status(ErrorCode::kInvalidArgument, path.string() + ":" +
                                                   std::to_string(error.source().begin.line) +
                                                   ": " + std::string(error.description()));
  }
  return finishSource(path.string());
}

Status Loader::addEnvironment(const std::map<std::string, std::string>& variables) {
  for (const auto& [variable, value] : variables) {
    const auto found = std::ranges::find_if(
        keys(), [&](const Key& key) { return variableOf(key.name) == variable; });
    if (found == keys().end()) {
      std::vector<std::string> known;
      for (const Key& key : keys()) known.push_back(variableOf(key.name));
      return unknownKey(variable, known, "environment", "variable");
    }
    SPOLIA_RETURN_IF_ERROR(set(*found, value, variable));
  }
  return finishSource("environment");
}

Status Loader::addFlags(const std::vector<Setting>& flags) {
  for (const Setting& setting : flags) {
    const Key* key = findKey(setting.key);
    SPOLIA_CHECK(key != nullptr);
    SPOLIA_RETURN_IF_ERROR(set(*key, setting.value, setting.origin));
  }
  return finishSource("command line");
}

}  // namespace

Result<EngineConfig> loadEngineConfig(const ConfigSources& sources) {
  Loader loader;
  if (!sources.file.empty()) SPOLIA_RETURN_IF_ERROR(loader.addFile(sources.file));
  SPOLIA_RETURN_IF_ERROR(loader.addEnvironment(sources.environment));
  SPOLIA_RETURN_IF_ERROR(loader.addFlags(sources.flags));
  return loader.take();
}

std::map<std::string, std::string> engineEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const size_t equals = line.find('=');
    if (!line.starts_with(kEnvironmentPrefix) || equals == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, equals);
    if (name != kConfigVariable) out.emplace(name, line.substr(equals + 1));
  }
  return out;
}

std::filesystem::path defaultStoreDirectory() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data) {
    return std::filesystem::path(data) / "spolia" / "store";
  }
  if (const char* home = std::getenv("HOME"); home && *home) {
    return std::filesystem::path(home) / ".local" / "share" / "spolia" / "store";
  }
  return "spolia-store";
}

Result<uint64_t> parseBytes(std::string_view text) {
  constexpr std::pair<std::string_view, unsigned> kUnits[] = {
      {"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  const auto found = std::ranges::find(kUnits, unit, &std::pair<std::string_view, unsigned>::first);
  if (error != std::errc() || found == std::end(kUnits) || value > UINT64_MAX >> found->second) {
    return expected("a size like \"64 MiB\" or \"8 GiB\"", std::string(text));
  }
  return value << found->second;
}

std::vector<std::string> engineConfigKeys() {
  std::vector<std::string> out;
  for (const Key& key : keys()) out.emplace_back(key.name);
  return out;
}

}  // namespace spolia::engine
