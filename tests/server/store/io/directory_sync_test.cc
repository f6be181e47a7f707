// A file whose directory was not synced may be gone after a power loss. Another process works on a
// store with its calls logged: whoever has renamed a file syncs the directory before anything else.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/store_workload.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMayPreload = false;  // their runtimes have to come first
#else
constexpr bool kMayPreload = true;
#endif

std::vector<std::string> callsOf(const std::filesystem::path& store,
                                 const std::filesystem::path& log, uint64_t seed) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const std::string programs = std::string(SPOLIA_BINARY_DIR) + "/tests/";
  const std::string program = programs + "kill_victim", preload = programs + "libcall_log.so";
  const std::string seedText = std::to_string(seed);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::setenv("LD_PRELOAD", preload.c_str(), 1);
    ::setenv("SPOLIA_CALL_LOG", log.c_str(), 1);
    ::execl(program.c_str(), program.c_str(), store.c_str(), seedText.c_str(), "1", "evicts",
            nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  test::WorkloadEvent event;
  for (int i = 0; i < 600; ++i) {
    if (::read(ends[0], &event, sizeof event) != sizeof event) break;
  }
  ::kill(pid, SIGKILL);
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  std::vector<std::string> lines;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(DirectorySync, FollowsEveryRename) {
  if (!kMayPreload) GTEST_SKIP() << "a sanitizer's runtime comes first";
  test::TemporaryDirectory directory;
  const std::filesystem::path store = directory.path() / "store";
  size_t renamed = 0;
  // The first makes the store, the others open it.
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto log = directory.path() / ("calls" + std::to_string(seed));
    std::set<std::string> synced;                // files and directories
    std::map<std::string, std::string> expects;  // of a thread: what it has to sync next
    for (const std::string& line : callsOf(store, log, seed)) {
      SCOPED_TRACE(line);
      std::istringstream words(line);
      std::string thread, call, path, to;
      words >> thread >> call >> path >> to;
      if (call == "fsync") {
        synced.insert(path);
        const auto node = expects.extract(thread);
        EXPECT_EQ(node ? node.mapped() : path, path);
        continue;
      }
      const std::string folder = std::filesystem::path(to).parent_path();
      if (folder == store / "index") continue;  // a cache: its files may be lost
      ++renamed;
      EXPECT_TRUE(synced.contains(path)) << "renamed before its bytes were durable";
      EXPECT_TRUE(expects.emplace(thread, folder).second) << "the one before was not synced";
    }
  }
  EXPECT_GT(renamed, 6u);
}

}  // namespace
}  // namespace spolia::store
