// spoliad: the cache server. Wires the parts together and runs until SIGTERM or SIGINT.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include "server/server_config.h"
#include "server/service/listener.h"
#include "server/store/segment_dump.h"
#include "server/store/store_check.h"
#include "server/tiers/entry_attributes.h"

namespace spolia {
namespace {

constexpr const char* kVersion = SPOLIA_VERSION;

// Documented in --help.
enum ExitCode { kOk = 0, kFailed = 1, kUsage = 2 };

struct Options {
  std::string config;
  std::string store;
  std::string capacity;
  std::string tcp;
  std::string unixSocket;
  std::string tokenFile;
  std::string logLevel;
  bool check = false;
  bool fsck = false;
  bool rebuildIndex = false;
  std::vector<std::string> dump;
  bool json = false;
};

int complain(const Status& status, ExitCode code) {
  std::cerr << "spoliad: " << status.message() << "\n";
  return code;
}

// The configuration file, with the flags that were given put over it.
Result<ServerConfig> configure(const CLI::App& app, const Options& options) {
  ServerConfig config;
  if (!options.config.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(config, loadServerConfig(options.config));
  }
  if (app.count("--store") > 0) config.store.directory = options.store;
  if (app.count("--capacity") > 0) {
    auto bytes = parseBytes(options.capacity);
    if (!bytes.ok()) return bytes.status().withContext("--capacity");
    config.store.capacityBytes = *bytes;
  }
  if (app.count("--listen") > 0) config.listen.tcp = options.tcp;
  if (app.count("--unix") > 0) config.listen.unixSocket = options.unixSocket;
  if (app.count("--token-file") > 0) config.tokenFile = options.tokenFile;
  if (app.count("--log-level") > 0) config.logLevel = options.logLevel;
  SPOLIA_RETURN_IF_ERROR(config.validate());
  return config;
}

// Epochs differ from run to run; time alone could repeat after a clock that jumped.
uint64_t freshEpoch() {
  uint64_t epoch = 0;
  fillRandom(std::as_writable_bytes(std::span(&epoch, 1)));
  return epoch | 1;
}

std::filesystem::path secretOf(const ServerConfig& config) {
  return config.store.directory / "namespace.secret";
}

Status fill(service::ServiceContext& service, const ServerConfig& config) {
  if (!config.tokenFile.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(service.tokens, service::TokenFile::load(config.tokenFile));
  }
  SPOLIA_ASSIGN_OR_RETURN(service.secret, service::loadOrCreateSecret(secretOf(config)));
  SPOLIA_ASSIGN_OR_RETURN(service.models,
                          service::ModelRegistry::load(config.store.directory / "models.txt"));
  service.epoch = freshEpoch();
  service.version = kVersion;
  return {};
}

Status listen(service::Listener& listener, const ServerConfig& config) {
  std::vector<std::string> lines;
  if (!config.listen.tcp.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(const auto address, service::resolveTcp(config.listen.tcp));
    SPOLIA_ASSIGN_OR_RETURN(auto socket, service::listenTcp(address));
    lines.push_back("listening on spolia://" + socket.bound);
    listener.add(kj::mv(socket));
  }
  if (!config.listen.unixSocket.empty()) {
    SPOLIA_ASSIGN_OR_RETURN(
        auto socket, service::listenUnix(std::filesystem::absolute(config.listen.unixSocket)));
    lines.push_back("listening on spolia+unix://" + socket.bound);
    listener.add(kj::mv(socket));
  }
  if (config.tokenFile.empty()) {
    lines.push_back("no token file: whoever can connect may do everything");
  }
  for (const std::string& line : lines) std::cout << line << "\n";
  std::cout << "ready" << std::endl;
  return {};
}

void printStore(const codec::StoreStats& stats) {
  std::cout << "store " << stats.location << ": " << stats.entries << " entries, "
            << formatBytes(stats.usedBytes) << " of " << formatBytes(stats.capacityBytes)
            << " used, " << formatBytes(stats.freeDiskBytes) << " free on its disk, "
            << stats.ioBackend << ", "
            << (stats.memoryCapacityBytes == 0 ? "no" : formatBytes(stats.memoryCapacityBytes))
            << " memory above it\n";
}

store::OwnerTag ownerOf(const service::ServerSecret& secret, const std::string& tenant) {
  return tiers::ownerTagOf(tiers::namespaceTagOf(service::namespaceOf(secret, tenant)));
}

// The secret that owners' tags derive from stands in the store's directory.
Result<std::vector<store::OwnerQuota>> quotasOf(const ServerConfig& config) {
  std::vector<store::OwnerQuota> out;
  if (config.quotas.empty()) return out;
  SPOLIA_ASSIGN_OR_RETURN(const auto secret, service::loadOrCreateSecret(secretOf(config)));
  for (const TenantQuota& quota : config.quotas) {
    out.push_back({ownerOf(secret, quota.tenant), quota.bytes});
  }
  return out;
}

void nameTenants(service::ServiceContext& service, const ServerConfig& config) {
  std::vector<std::string> names{service::kOnlyTenant};
  if (service.tokens) names = service.tokens->tenants();
  for (const TenantQuota& quota : config.quotas) names.push_back(quota.tenant);
  for (const std::string& name : names) service.tenants[ownerOf(service.secret, name)] = name;
}

int serve(const ServerConfig& config) {
  // Before any thread exists, so that all inherit the mask.
  kj::UnixEventPort::captureSignal(SIGTERM);
  kj::UnixEventPort::captureSignal(SIGINT);
  auto io = kj::setupAsyncIo();
  store::StoreConfig store = config.store;
  store.quotas = [&config] { return quotasOf(config); };
  auto tiers = tiers::TierSet::open(store, config.memoryBytes, config.lifetimes);
  if (!tiers.ok()) return complain(tiers.status(), kFailed);
  printStore((*tiers)->stats());

  service::TierCalls calls(std::move(*tiers), io.unixEventPort);
  service::ServiceContext service(calls, io.provider->getTimer(), config.limits);
  if (Status filled = fill(service, config); !filled.ok()) return complain(filled, kFailed);
  service::Listener listener(service, *io.lowLevelProvider);
  nameTenants(service, config);
  if (Status open = listen(listener, config); !open.ok()) return complain(open, kFailed);

  io.unixEventPort.onSignal(SIGTERM)
      .exclusiveJoin(io.unixEventPort.onSignal(SIGINT))
      .then([&](siginfo_t signal) {
        spdlog::info("signal {}: finishing {} calls", signal.si_signo, service.callsInFlight);
        return listener.drain();
      })
      .wait(io.waitScope);
  if (!config.listen.unixSocket.empty()) ::unlink(config.listen.unixSocket.c_str());
  spdlog::info("stopped");
  return kOk;
}

// All files, though one cannot be read. kFailed when anything is wrong in one.
int dumpSegments(const std::vector<std::string>& files, bool json) {
  ExitCode code = kOk;
  for (const std::string& file : files) {
    const Result<store::SegmentDump> dump = store::dumpSegment(file);
    if (!dump.ok()) {
      code = static_cast<ExitCode>(complain(dump.status(), kFailed));
      continue;
    }
    std::cout << (json ? store::segmentJson(*dump) : store::segmentText(*dump));
    if (!dump->problems.empty()) code = kFailed;
  }
  return code;
}

int checkStore(const std::filesystem::path& directory) {
  const auto checked =
      store::checkStore(directory, [](const std::string& line) { std::cout << line << "\n"; });
  if (!checked.ok()) return complain(checked.status(), kFailed);
  std::cout << checked->segments << " segments, " << formatBytes(checked->bytesRead) << ": "
            << checked->intact << " of " << checked->entries << " entries intact ("
            << formatBytes(checked->liveBytes) << "), " << checked->problems << " problems; "
            << checked->unnamed << " records of evicted or new entries\n";
  return checked->problems == 0 ? kOk : kFailed;
}

int rebuildIndex(const std::filesystem::path& directory) {
  const auto rebuilt = store::rebuildIndex(directory);
  if (!rebuilt.ok()) return complain(rebuilt.status(), kFailed);
  std::cout << "the index has " << rebuilt->entries << " entries, from " << rebuilt->segments
            << " segments\n";
  return kOk;
}

void describe(CLI::App& app, Options& options) {
  app.set_version_flag("--version", std::string("spoliad ") + kVersion);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.add_option("--config", options.config, "Configuration file (see conf/server.toml)")
      ->envname("SPOLIAD_CONFIG");
  app.add_flag("--check", options.check, "Check the configuration and exit");
  app.add_option("--store", options.store, "Directory of the store")->envname("SPOLIAD_STORE");
  app.add_option("--capacity", options.capacity, "Cap on the store's files, as in \"8 GiB\"");
  app.add_option("--listen", options.tcp, "HOST:PORT to listen on, \"\" for none");
  app.add_option("--unix", options.unixSocket, "Unix socket to listen on");
  app.add_option("--token-file", options.tokenFile, "Lines of TENANT RIGHTS TOKEN");
  app.add_option("--log-level", options.logLevel, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  auto* dump = app.add_option("--dump-segment", options.dump,
                              "Show what stands in segment files, whatever their state, and exit");
  app.add_flag("--fsck", options.fsck,
               "Read all of a store that no server has open, tell what is damaged, and exit");
  app.add_flag("--rebuild-index", options.rebuildIndex,
               "Make a store's index again from its segments, and exit; with --fsck, before it");
  app.add_flag("--json", options.json, "A JSON object a line instead of text")->needs(dump);
  app.footer(
      "Where the store is, what it holds and where the server listens goes to stdout, ending in "
      "\"ready\"; messages go to stderr.\nExit codes: 0 stopped by a signal, 1 failed, 2 wrong use "
      "or configuration. --dump-segment and --fsck give 1 when "
      "something is wrong in a file, too.");
}

int run(int argc, char** argv) {
  CLI::App app("spoliad: keeps the attention state of texts and images for reuse.", "spoliad");
  Options options;
  describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? kOk : kUsage;
  }
  if (!options.dump.empty()) return dumpSegments(options.dump, options.json);
  auto config = configure(app, options);
  if (!config.ok()) return complain(config.status(), kUsage);
  if (options.check) {
    std::cout << "the configuration is good\n";
    return kOk;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("spoliad"));
  spdlog::set_level(spdlog::level::from_str(config->logLevel));
  int code = kOk;
  if (options.rebuildIndex) code = rebuildIndex(config->store.directory);
  if (options.fsck && code == kOk) code = checkStore(config->store.directory);
  return options.fsck || options.rebuildIndex ? code : serve(*config);
}

}  // namespace
}  // namespace spolia

int main(int argc, char** argv) {
  try {
    return spolia::run(argc, argv);
  } catch (const kj::Exception& e) {
    std::cerr << "spoliad: " << e.getDescription().cStr() << "\n";
  } catch (const std::exception& e) {
    std::cerr << "spoliad: " << e.what() << "\n";
  }
  return 1;
}
