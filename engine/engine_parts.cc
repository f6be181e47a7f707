#include "engine/engine_parts.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "engine/gguf/model_loading.h"
#include "engine/linker/embedded_kv_source.h"
#include "engine/linker/remote_kv_source.h"
#include "engine/profile/profile_file.h"

namespace spolia::engine {

namespace {

Status openSource(EngineParts& parts, uint64_t ttlSeconds) {
  const EngineConfig& config = parts.config;
  if (!config.cache.empty()) {
    RemoteKvConfig remote;
    remote.address = config.cache;
    remote.tokenFile = config.tokenFile;
    remote.modelName = modelNameOf(config.model);
    remote.descriptor = parts.model->descriptor();
    remote.ttlSeconds = ttlSeconds;
    SPOLIA_ASSIGN_OR_RETURN(parts.source, openRemoteKvSource(remote));
    return {};
  }
  EmbeddedStoreConfig store;
  store.directory = config.store.empty() ? defaultStoreDirectory() : config.store;
  store.capacityBytes = config.storeCapacity;
  store.memoryBytes = config.storeMemory;
  store.ttlSeconds = ttlSeconds;
  SPOLIA_ASSIGN_OR_RETURN(parts.source, openEmbeddedKvSource(store));
  return {};
}

}  // namespace

Result<std::shared_ptr<const codec::Profile>> profileFor(const EngineConfig& config,
                                                         const Model& model) {
  if (config.profile.empty()) return std::shared_ptr<const codec::Profile>();
  SPOLIA_ASSIGN_OR_RETURN(auto profile, readProfile(config.profile));
  if (profile->data().fingerprint != model.fingerprint()) {
    return Status(
        ErrorCode::kInvalidArgument,
        config.profile.string() + ": profile of another model than " + config.model.string());
  }
  return profile;
}

namespace {

// Of a model without files that name them: by its ids.
ChatTemplate::SpecialTokens tokensByIds(const Model& model) {
  const auto named = [&](uint32_t id) { return std::string(model.tokenizer().tokenBytes(id)); };
  ChatTemplate::SpecialTokens out = {{"bos_token", named(model.config().bosToken)}};
  if (!model.config().eosTokens.empty()) {
    out.emplace_back("eos_token", named(model.config().eosTokens.front()));
  }
  return out;
}

// The model's own; nothing where it has none.
Result<std::optional<ChatTemplate>> ownTemplate(const EngineConfig& config, const Model& model) {
  std::error_code error;
  if (std::filesystem::is_directory(config.model, error)) return ChatTemplate::load(config.model);
  if (model.chatTemplate().empty()) return std::optional<ChatTemplate>();
  SPOLIA_ASSIGN_OR_RETURN(
      ChatTemplate out,
      ChatTemplate::parse(model.chatTemplate(), config.model.string() + ": tokenizer.chat_template",
                          tokensByIds(model)));
  return std::optional(std::move(out));
}

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> chatTemplateFor(const EngineConfig& config,
                                                            const Model& model) {
  using Shared = std::shared_ptr<const ChatTemplate>;
  if (config.chatTemplate == "none") return Shared();
  if (!config.chatTemplate.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(ChatTemplate::SpecialTokens tokens, loadSpecialTokens(config.model));
    if (tokens.empty()) tokens = tokensByIds(model);
    SPOLIA_ASSIGN_OR_RETURN(ChatTemplate named,
                            ChatTemplate::loadFile(config.chatTemplate, std::move(tokens)));
    return std::make_shared<const ChatTemplate>(std::move(named));
  }
  Result<std::optional<ChatTemplate>> own = ownTemplate(config, model);
  if (!own.ok()) {
    return Status(own.status().code(),
                  own.status().message() + "; --chat-template takes another one, or none");
  }
  return *own ? std::make_shared<const ChatTemplate>(**std::move(own)) : Shared();
}

unsigned usableCores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

Result<EngineParts> openEngine(const EngineConfig& config, uint64_t ttlSeconds) {
  if (config.model.empty()) {
    return Status(ErrorCode::kInvalidArgument,
                  "no model: expected --model PATH, SPOLIA_ENGINE_MODEL_DIRECTORY or "
                  "model.directory in the configuration file");
  }
  EngineParts parts;
  parts.config = config;
  SPOLIA_ASSIGN_OR_RETURN(parts.model, loadModel(config.model, {.numerics = config.numerics}));
  SPOLIA_ASSIGN_OR_RETURN(parts.profile, profileFor(config, *parts.model));
  SPOLIA_RETURN_IF_ERROR(openSource(parts, ttlSeconds));
  parts.pool = std::make_unique<ThreadPool>(config.threads == 0 ? usableCores() : config.threads);
  parts.transformer = std::make_unique<Transformer>(*parts.model, *parts.pool, config.rounding);
  return parts;
}

std::string bytesText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string storeLine(const codec::StoreStats& stats) {
  std::string out = "store: " + stats.location;
  if (!stats.ioBackend.empty()) out += " (" + stats.ioBackend + ")";
  out += fmt::format(", {} entries, {}", stats.entries, bytesText(stats.usedBytes));
  if (stats.capacityBytes > 0) out += " of " + bytesText(stats.capacityBytes);
  if (stats.freeDiskBytes > 0) out += ", " + bytesText(stats.freeDiskBytes) + " free on disk";
  return out;
}

void printStore(KvSource& source) {
  const Result<codec::StoreStats> stats = source.stats();
  fmt::print(stderr, "{}\n", stats.ok() ? storeLine(*stats) : "store: " + stats.status().message());
}

}  // namespace spolia::engine
