// The commands of `spolia`, without argument parsing. Data goes to stdout, messages to stderr; one
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "client/blocking_client.h"

namespace spolia::cli {

// The program's exit codes; --help lists them.
enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kMissing = 3,      // no such entry
  kUnreachable = 4,  // no server, or no answer in time
  kCorrupt = 5,      // bytes that failed a check
  kDenied = 6,       // the token does not allow it
};

struct Options {
  std::string server;
  std::string tokenFile;
  bool json = false;
  double timeoutSeconds = 30;
  // put
  std::string file;
  std::string kind;  // "chunk", "manifest", "profile", "opaque"; ls: also "all"
  std::string id;
  std::string name;
  bool replace = false;
  std::string ttl;  // "10m"; empty: the server's default
  // get
  std::string output;  // "-": stdout
  // rm
  bool all = false;
  // ls
  uint64_t limit = 0;  // 0: all
  // fsck
  std::string store;
  bool rebuildIndex = false;
};

// Each returns an ExitCode.
int put(const Options& options);
int get(const Options& options);
int stat(const Options& options);
int ls(const Options& options);
int rm(const Options& options);
int ping(const Options& options);
int verify(const Options& options);
// Of a store on this machine; becomes another program where it succeeds.
int fsck(const Options& options);

}  // namespace spolia::cli
