// spolia: argument parsing only; the commands are in commands.cc.
#include <kj/exception.h>
#include <CLI/CLI.hpp>
#include <iostream>

#include "client/cli/commands.h"

namespace spolia::cli {
namespace {

using Command = int (*)(const Options&);

void addCommon(CLI::App& app, Options& options) {
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.add_option("--server", options.server, "spolia://HOST:PORT or spolia+unix:///PATH")
      ->envname("SPOLIA_SERVER")
      ->capture_default_str();
  app.add_option("--token-file", options.tokenFile, "File whose first line is the token")
      ->envname("SPOLIA_TOKEN_FILE");
  app.add_option("--timeout", options.timeoutSeconds, "Seconds that a call may take")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON, one value a line");
}

CLI::App* add(CLI::App& app, Options& options, const char* name, const char* what) {
  CLI::App* command = app.add_subcommand(name, what);
  addCommon(*command, options);
  return command;
}

void addName(CLI::App* command, Options& options) {
  command->add_option("--name", options.name, "Name of a value, in place of its id");
  command->add_option("--kind", options.kind, "The named value's kind (opaque)")
      ->check(CLI::IsMember({"manifest", "profile", "opaque"}));
}

void describe(CLI::App& app, Options& options) {
  app.set_version_flag("--version", "spolia " SPOLIA_VERSION);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer(
      "Data goes to stdout, messages to stderr.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong use, 3 no such entry, 4 server not reached or no "
      "answer in time, 5 corrupt bytes, 6 not allowed.\n"
      "Environment: SPOLIA_SERVER, SPOLIA_TOKEN_FILE; flags go before.");

  CLI::App* put = add(app, options, "put", "Store a chunk's stream file, or a value with --kind");
  put->add_option("file", options.file, "File to store, - for stdin")->required();
  put->add_option("--kind", options.kind, "What it is (chunk)")
      ->check(CLI::IsMember({"chunk", "manifest", "profile", "opaque"}));
  put->add_option("--id", options.id, "Id of a value, 64 hex digits");
  put->add_option("--name", options.name, "Name of a value: its label, and its id without --id");
  put->add_option("--ttl", options.ttl, "How long it lives, as in 90s, 10m, 6h, 30d");
  put->add_flag("--replace", options.replace, "Replace what is there");

  CLI::App* get = add(app, options, "get", "Write an entry to a file, a chunk's stream verified");
  get->add_option("id", options.id, "64 hex digits");
  addName(get, options);
  get->add_option("-o,--output", options.output, "File to write, - for stdout")->required();

  CLI::App* stat = add(app, options, "stat", "Tell about an entry, or about the server");
  stat->add_option("id", options.id, "64 hex digits; none: the server");
  addName(stat, options);

  CLI::App* ls = add(app, options, "ls", "List entries: id, kind, bytes, more");
  ls->add_option("--kind", options.kind, "Entries of this kind (all)")
      ->check(CLI::IsMember({"all", "chunk", "embedding", "profile", "manifest", "opaque"}));
  ls->add_option("--limit", options.limit, "At most so many, 0 for all")->capture_default_str();

  CLI::App* rm = add(app, options, "rm", "Remove an entry, durably, or all with --all");
  rm->add_option("id", options.id, "64 hex digits");
  rm->add_option("--name", options.name, "Name of a value, in place of its id");
  rm->add_option("--kind", options.kind, "The named value's kind (opaque); of --all (every kind)")
      ->check(CLI::IsMember({"chunk", "embedding", "profile", "manifest", "opaque"}));
  rm->add_flag("--all", options.all, "Everything that this tenant has stored");

  add(app, options, "ping", "Ask the server whether it is there");

  CLI::App* verify =
      add(app, options, "verify", "Check a stream file or a stored chunk completely");
  verify->add_option("what", options.file, "File, or id of 64 hex digits")->required();

  CLI::App* fsck = app.add_subcommand(
      "fsck", "Read all of a store that no server has open, and tell what is damaged");
  fsck->set_help_flag("-h,--help", "Print this help and exit");
  fsck->add_option("store", options.store, "Its directory")->required();
  fsck->add_flag("--rebuild-index", options.rebuildIndex,
                 "Make its index again from its segments first");
}

const char* defaultKind(Command command) {
  return command == put ? "chunk" : command == ls ? "all" : "opaque";
}

int run(int argc, char** argv) {
  CLI::App app("spolia: talks to a spoliad.", "spolia");
  Options options;
  options.server = "spolia://127.0.0.1:7433";
  describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  const std::pair<const char*, Command> kCommands[] = {
      {"put", put}, {"get", get},   {"stat", stat},     {"ls", ls},
      {"rm", rm},   {"ping", ping}, {"verify", verify}, {"fsck", fsck},
  };
  for (const auto& [name, command] : kCommands) {
    if (!app.got_subcommand(name)) continue;
    if (options.kind.empty() && !options.all) options.kind = defaultKind(command);
    return command(options);
  }
  return kUsage;
}

}  // namespace
}  // namespace spolia::cli

int main(int argc, char** argv) {
  try {
    return spolia::cli::run(argc, argv);
  } catch (const kj::Exception& e) {
    std::cerr << "spolia: " << e.getDescription().cStr() << "\n";
  } catch (const std::exception& e) {
    std::cerr << "spolia: " << e.what() << "\n";
  }
  return spolia::cli::kFailed;
}
