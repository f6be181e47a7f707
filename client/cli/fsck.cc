// The check itself is the server's, since it knows the store's formats: `spoliad --fsck`.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <vector>

#include "client/cli/commands.h"

namespace spolia::cli {
namespace {

constexpr const char* kServer = "spoliad";

}  // namespace

int fsck(const Options& options) {
  std::vector<std::string> words = {kServer, "--store", options.store};
  if (options.rebuildIndex) words.push_back("--rebuild-index");
  words.push_back("--fsck");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // Beside this program, as it is installed; else wherever PATH has it.
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) ::execv((self.parent_path() / kServer).c_str(), arguments.data());
  ::execvp(kServer, arguments.data());
  std::cerr << "spolia: cannot run " << kServer << ": " << std::strerror(errno) << "\n";
  return kFailed;
}

}  // namespace spolia::cli
