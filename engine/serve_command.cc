#include "engine/serve_command.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/gguf/model_loading.h"
#include "engine/http/chat_api.h"
#include "engine/http/http_server.h"

namespace spolia::engine {

namespace {

// SIGINT and SIGTERM, held back from all threads that are started while this exists, and waited
// for.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }
  void wait() {
    int signal = 0;
    ::sigwait(&set_, &signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);  // a second one ends the process at once
  }

 private:
  sigset_t set_;
};

// "address:port", "[::1]:port"; the port may be 0.
Status parseListen(const std::string& text, HttpServer::Config& config) {
  const size_t colon = text.rfind(':');
  const std::string_view port =
      colon == std::string::npos ? std::string_view() : std::string_view(text).substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), config.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return Status(ErrorCode::kInvalidArgument,
                  "serve.listen is \"" + text + "\", expected ADDRESS:PORT, e.g. 127.0.0.1:8080");
  }
  config.address = text.substr(0, colon);
  if (config.address.starts_with('[') && config.address.ends_with(']')) {
    config.address = config.address.substr(1, config.address.size() - 2);
  }
  return Status();
}

bool isLoopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

// The keys to ask for. Whoever listens to the network says who may ask, or that all may.
Result<std::optional<ApiKeys>> keysOf(const EngineConfig& config, const std::string& address) {
  if (!config.apiKeys.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(ApiKeys keys, ApiKeys::load(config.apiKeys));
    return std::optional(std::move(keys));
  }
  if (isLoopback(address) || config.noAuth) return std::optional<ApiKeys>();
  return Status(ErrorCode::kInvalidArgument,
                "serve.listen is \"" + config.serveListen +
                    "\", which others can reach: expected --api-keys FILE, or --no-auth for a "
                    "server that answers everybody");
}

int64_t changeTimeOf(const std::filesystem::path& model) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(model, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

ChatService::Config serviceConfigOf(const EngineParts& parts,
                                    std::shared_ptr<const ChatTemplate> chatTemplate) {
  const EngineConfig& config = parts.config;
  ChatService::Config out;
  out.modelName = modelNameOf(config.model);
  out.saltedSource = [source = parts.source.get()](const std::string& salt) {
    return source->salted(salt);
  };
  out.prompts.chatTemplate = std::move(chatTemplate);
  out.prompts.questionTemplate = config.questionTemplate;
  out.prompts.maxTokens = config.maxTokens;
  out.prompts.cut = {config.serveDocumentSeparator, config.serveChunkMessagesOver};
  out.prompts.method = config.method;
  out.library = {config.chunkTokens, config.preset, config.kvType};
  out.library.profile = parts.profile;
  out.linker.pageType = config.kvType;
  out.linker.lookaheadLayers = config.lookaheadLayers;
  out.linker.prefixPreset = config.prefixPreset;
  out.linker.profile = parts.profile;
  out.link.method = config.method;
  out.link.k = config.k;
  out.link.patience = std::chrono::milliseconds(config.patienceMs);
  out.queue = config.serveQueue;
  out.scheduler.maxRequests = config.serveRequests;
  out.scheduler.kvBytes = config.serveKvMemory;
  out.scheduler.policy.maxBatch = config.serveBatch;
  out.scheduler.policy.tokenBudget = config.serveTokenBudget;
  return out;
}

Status serve(const EngineConfig& config) {
  HttpServer::Config http;
  SPOLIA_RETURN_IF_ERROR(parseListen(config.serveListen, http));
  SPOLIA_ASSIGN_OR_RETURN(std::optional<ApiKeys> keys, keysOf(config, http.address));
  http.bodyBytes = config.serveBodyLimit;
  http.connections = config.serveConnections;
  http.refuse = [](unsigned status, std::string why) { return errorResponse(status, why); };
  StopSignals signals;
  SPOLIA_ASSIGN_OR_RETURN(EngineParts parts, openEngine(config));
  SPOLIA_ASSIGN_OR_RETURN(const auto chatTemplate, chatTemplateFor(config, *parts.model));
  printStore(*parts.source);
  if (chatTemplate) spdlog::info("chat template: {}", chatTemplate->name());
  ApiMetrics metrics;
  ChatService service(*parts.model, *parts.transformer, *parts.pool, *parts.source, metrics,
                      serviceConfigOf(parts, chatTemplate));
  HttpServer* running = nullptr;
  TokenService tokens(*parts.model, modelNameOf(config.model), metrics);
  ChatApi api(
      service, tokens, metrics,
      {modelNameOf(config.model), changeTimeOf(config.model), SPOLIA_VERSION,
       [&running] { return running ? running->connections() : size_t{0}; }, std::move(keys)});
  SPOLIA_ASSIGN_OR_RETURN(
      const std::unique_ptr<HttpServer> server,
      HttpServer::start(http, [&api](HttpRequest request, std::shared_ptr<ReplyChannel> channel) {
        api.handle(std::move(request), std::move(channel));
      }));
  running = server.get();
  const bool v6 = http.address.find(':') != std::string::npos;
  fmt::print("listening on http://{}:{}\nready\n", v6 ? "[" + http.address + "]" : http.address,
             server->port());
  std::fflush(stdout);
  signals.wait();
  spdlog::info("stopping");
  service.stop();
  tokens.stop();
  return Status();
}

}  // namespace

int runServe(const EngineConfig& config) {
  const Status status = serve(config);
  if (status.ok()) return kExitOk;
  fmt::print(stderr, "spolia-engine serve: {}\n", status.message());
  return exitCodeOf(status.code());
}

}  // namespace spolia::engine
