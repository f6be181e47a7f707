// The steps down from io_uring with registered buffers and O_DIRECT: a child process forbids itself
// what a kernel, a container or a file system may refuse, and then uses a store.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <span>

#include "server/store/store.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

bool install(std::span<sock_filter> program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// From now on, in this process and those it becomes, io_uring_setup fails with `error`, as in
// Docker's default profile.
bool refuseUring(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return install(program);
}

// Likewise every opening with O_DIRECT fails with EINVAL, as on a file system that lacks it.
bool refuseDirect() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return install(program);
}

// Likewise so many bytes may be locked, also by root.
bool limitLockedMemory(rlim_t bytes) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  if (::syscall(SYS_capset, &header, data) != 0) return false;
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

constexpr int kWorks = 0;
constexpr int kOtherBackend = 2;
constexpr int kNotRefused = 20;

// The exit status of a child that does `body`.
int inChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

StoreConfig configOf(const std::filesystem::path& directory) {
  StoreConfig config;
  config.directory = directory;
  config.segmentBytes = 4 << 20;
  config.capacityBytes = 18 << 20;
  return config;
}

// kWorks when a store says so of itself and gives back what was put, long and short.
int useStore(const std::filesystem::path& directory, std::string_view backend,
             std::string_view missing) {
  auto store = Store::open(configOf(directory));
  if (!store.ok()) return 1;
  const StoreFigures figures = (*store)->figures();
  if (figures.ioBackend != backend) return kOtherBackend;
  if (figures.ioMissing.find(missing) == std::string::npos) return 3;
  if (missing.empty() && !figures.ioMissing.empty()) return 4;
  StoreQueue queue;
  for (const size_t size : {5ul, 1000000ul}) {
    const std::string value(size, 'v');
    PutRequest put;
    put.meta.key.bytes = sha256(std::as_bytes(std::span(&size, 1)));
    put.payload = AlignedBuffer::copyOf(asBytes(value));
    const StoreKey key = put.meta.key;
    (*store)->submitPut(std::move(put), 0, queue);
    if (!queue.waitPop().status.ok()) return 5;
    (*store)->submitGet(key, 0, UINT64_MAX, 0, queue);
    const StoreCompletion got = queue.waitPop();
    if (!got.status.ok() || asText(got.range()) != value) return 6;
  }
  return kWorks;
}

// Other tests of this program, run by a child that `refuse` has made poorer.
void expectTestsPass(const char* filter, const std::function<bool()>& refuse) {
  const test::TemporaryDirectory directory;
  const std::string log = directory.path() / "log";
  const std::string argument = std::string("--gtest_filter=") + filter;
  const auto body = [&] {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    if (!refuse() || ::dup2(out, STDOUT_FILENO) < 0) return kNotRefused;
    ::execl("/proc/self/exe", "tests", argument.c_str(), "--gtest_brief=1",
            static_cast<char*>(nullptr));
    return 127;
  };
  EXPECT_EQ(inChild(body), kWorks) << std::ifstream(log).rdbuf();
}

TEST(Ladder, NothingIsMissingWhereAllIsGiven) {
  test::TemporaryDirectory directory;
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "buffers are not registered";
#endif
  EXPECT_EQ(inChild([&] { return useStore(directory.path() / "store", "io_uring", ""); }), kWorks);
}

TEST(Ladder, WithoutUringThreadsReadAndWrite) {
  for (const int error : {EPERM, ENOSYS, EACCES}) {
    test::TemporaryDirectory directory;
    const std::filesystem::path path = directory.path() / "store";
    const auto body = [&] {
      if (!refuseUring(error)) return kNotRefused;
      StoreConfig config = configOf(path);
      config.io = IoBackend::kUring;
      if (Store::open(config).status().code() != ErrorCode::kUnavailable) return kNotRefused;
      return useStore(path, "pread", ::strerror(error));
    };
    EXPECT_EQ(inChild(body), kWorks) << "errno " << error;
  }
}

TEST(Ladder, WithoutLockedMemoryItIsStillUring) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "buffers are not registered";
#endif
  test::TemporaryDirectory directory;
  const auto body = [&](rlim_t bytes, std::string_view missing) {
    if (!limitLockedMemory(bytes)) return kNotRefused;
    return useStore(directory.path() / std::to_string(bytes), "io_uring", missing);
  };
  // Enough for the rings themselves.
  EXPECT_EQ(inChild([&] { return body(1 << 20, "registered buffers: 0 of 64 MiB"); }), kWorks);
  // What others of the same user have locked counts.
  EXPECT_EQ(inChild([&] { return body(7 << 20, " of 64 MiB"); }), kWorks);
}

// Some kernels count the rings as well: then there is no io_uring at all.
TEST(Ladder, WithoutAnyLockedMemoryItWorks) {
  test::TemporaryDirectory directory;
  const auto body = [&] {
    if (!limitLockedMemory(0)) return kNotRefused;
    const auto path = directory.path() / "store";
    const int uring = useStore(path, "io_uring", "Cannot allocate memory");
    return uring == kOtherBackend ? useStore(path, "pread", "Cannot allocate memory") : uring;
  };
  EXPECT_EQ(inChild(body), kWorks);
}

TEST(Ladder, WithoutDirectFilesAreBuffered) {
  test::TemporaryDirectory directory;
  const auto body = [&] {
    return refuseDirect() ? useStore(directory.path() / "store", "io_uring", "O_DIRECT")
                          : kNotRefused;
  };
  EXPECT_EQ(inChild(body), kWorks);
}

// What holds with all of it holds with less. Left out: what opens a store a hundred times.
TEST(Ladder, TheStoresTestsPassWithoutUring) {
  expectTestsPass("*StoreTest*/Pread:*RingTest*/pread:-*FlippedBits*:*DamagedTail*",
                  [] { return refuseUring(EPERM); });
}

TEST(Ladder, TheStoresTestsPassBuffered) {
  expectTestsPass("*StoreTest*/Uring:*RingTest*:UringFaults*:-*FlippedBits*:*DamagedTail*",
                  refuseDirect);
}

TEST(Ladder, TheStoresTestsPassWithoutLockedMemory) {
  expectTestsPass("*StoreTest*/Uring:*RingTest*/io_uring:-*FlippedBits*:*DamagedTail*",
                  [] { return limitLockedMemory(1 << 20); });
}

}  // namespace
}  // namespace spolia::store
