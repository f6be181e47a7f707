// A container that refuses io_uring: a child process forbids itself the system call, as Docker's
// default profile does, and then uses a store.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/store/store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

// io_uring_setup fails with `error` in this process from now on.
bool refuseUring(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

enum Outcome { kWorks, kNoFilter, kNotOpened, kOtherBackend, kPutFailed, kGetFailed, kNotRefused };

Outcome useStore(const std::filesystem::path& directory, int error) {
  if (!refuseUring(error)) return kNoFilter;
  StoreConfig config;
  config.directory = directory;
  config.segmentBytes = 1 << 20;
  config.capacityBytes = 4 << 20;
  config.io = IoBackend::kUring;
  if (Store::open(config).status().code() != ErrorCode::kUnavailable) return kNotRefused;
  config.io = IoBackend::kAuto;
  auto store = Store::open(config);
  if (!store.ok()) return kNotOpened;
  if ((*store)->figures().ioBackend != "pread") return kOtherBackend;
  StoreQueue queue;
  PutRequest put;
  put.payload = AlignedBuffer::copyOf(asBytes("value"));
  (*store)->submitPut(std::move(put), 0, queue);
  if (!queue.waitPop().status.ok()) return kPutFailed;
  (*store)->submitGet(StoreKey{}, 0, UINT64_MAX, 0, queue);
  const StoreCompletion got = queue.waitPop();
  return got.status.ok() && asText(got.range()) == "value" ? kWorks : kGetFailed;
}

TEST(UringRefused, StoreReadsAndWritesWithThreadsInstead) {
  for (const int error : {EPERM, ENOSYS, EACCES, ENOMEM}) {
    test::TemporaryDirectory directory;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(useStore(directory.path() / "store", error));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), kWorks) << "errno " << error;
  }
}

}  // namespace
}  // namespace spolia::store
