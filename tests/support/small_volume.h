// A test on a file system of its own, small enough to be filled: this program runs the test once
// more in a mount namespace, with SPOLIA_VOLUME naming where the file system is mounted. Mount and
// namespace go with that process, however it ends.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/support/temporary_directory.h"

namespace spolia::test {

enum class VolumeKind { kExt4, kTmpfs };

struct VolumeRun {
  bool made = false;  // false: such a file system cannot be had here, `output` says why
  int exitStatus = 0;
  std::string output;
};

// `test` as --gtest_filter takes it. ext4 takes root, who may mount images; tmpfs a kernel and a
// container that let one have a user namespace.
inline VolumeRun runOnVolume(VolumeKind kind, int mebibytes, const std::string& test) {
  constexpr int kNotMade = 77;
  const TemporaryDirectory directory;
  const std::string at = directory.path(), size = std::to_string(mebibytes) + "M";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const bool root = ::geteuid() == 0;
  const std::string mount = kind == VolumeKind::kTmpfs
                                ? "mount -t tmpfs -o size=" + size + " none " + at + "/volume"
                                : "PATH=$PATH:/sbin:/usr/sbin && truncate -s " + size + " " + at +
                                      "/image && mkfs.ext4 -q -F -m 0 " + at +
                                      "/image && mount -o loop " + at + "/image " + at + "/volume";
  const std::string inside = "mkdir " + at + "/volume && " + mount +
                             " || exit 77; SPOLIA_VOLUME=" + at + "/volume exec " + self +
                             " --gtest_color=no --gtest_filter=" + test;
  // unshare(1) fails with 1, as a test does: asked beforehand.
  const std::string unshare =
      std::string("unshare --mount ") + (root ? "" : "--user --map-root-user ");
  const std::string command =
      "{ " + unshare + "true || exit 77; " + unshare + "sh -c '" + inside + "'; } 2>&1";
  VolumeRun run;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return run;
  char text[4096];
  while (const size_t got = std::fread(text, 1, sizeof text, pipe)) run.output.append(text, got);
  const int status = ::pclose(pipe);
  run.exitStatus = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  run.made = run.exitStatus != kNotMade;
  return run;
}

}  // namespace spolia::test
