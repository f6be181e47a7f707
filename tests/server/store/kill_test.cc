// kill -9 at any time: another process works on a real store and is killed; this one knows from its
// pipe what was intended and acknowledged, and checks what the disk says. SPOLIA_KILLS says how
// often (1,000 take half an hour), SPOLIA_KILL_SEED repeats a run.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "server/store/store.h"
#include "tests/support/asked_number.h"
#include "tests/support/store_workload.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

using test::WorkloadEvent;

struct Child {
  pid_t pid;
  int pipe;
};

Child start(const test::Workload& workload, const std::string& directory, uint64_t seed,
            uint64_t firstVersion) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const std::string seedText = std::to_string(seed), versionText = std::to_string(firstVersion);
  const std::string program = std::string(SPOLIA_BINARY_DIR) + "/tests/kill_victim";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execl(program.c_str(), program.c_str(), directory.c_str(), seedText.c_str(),
            versionText.c_str(), workload.evicts ? "evicts" : nullptr, nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  return {pid, ends[0]};
}

// What each key may read as.
class KillOracle {
 public:
  void note(const WorkloadEvent& event) {
    if (event.kind == WorkloadEvent::kIntent) {
      possible(event.key).insert(event.version);
      unanswered_[event.key].insert(event.operation);
      versionOf_[event.operation] = event.version;
      lastVersion_ = std::max(lastVersion_, event.version);
      return;
    }
    unanswered_[event.key].erase(event.operation);
    if (event.kind == WorkloadEvent::kFailed) {
      ++failed_;
      return;
    }
    ++acknowledged_;
    std::set<uint64_t> left{event.version};
    for (uint64_t operation : unanswered_[event.key]) {
      if (operation > event.operation) left.insert(versionOf_[operation]);
    }
    possible(event.key) = left;
  }

  void settle(uint64_t key, uint64_t version) { possible(key) = {version}; }
  void newLife() {
    unanswered_.clear();
    versionOf_.clear();
  }
  std::set<uint64_t>& possible(uint64_t key) {
    return possible_.try_emplace(key, std::set<uint64_t>{0}).first->second;
  }
  uint64_t lastVersion() const { return lastVersion_; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t failed() const { return failed_; }

 private:
  std::map<uint64_t, std::set<uint64_t>> possible_;
  std::map<uint64_t, std::set<uint64_t>> unanswered_;  // by key: operations
  std::map<uint64_t, uint64_t> versionOf_;             // by operation
  uint64_t lastVersion_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t failed_ = 0;
};

// Reads `events` messages, kills, and reads what else was told.
void workAndKill(const Child& child, uint64_t events, KillOracle& oracle) {
  WorkloadEvent event;
  for (uint64_t i = 0; i < events; ++i) {
    if (::read(child.pipe, &event, sizeof event) != sizeof event) break;
    oracle.note(event);
  }
  ::kill(child.pid, SIGKILL);
  while (::read(child.pipe, &event, sizeof event) == sizeof event) oracle.note(event);
  ::close(child.pipe);
  int status = 0;
  ASSERT_EQ(::waitpid(child.pid, &status, 0), child.pid);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it ended by itself";
}

void check(const test::Workload& workload, const std::string& directory, KillOracle& oracle) {
  auto opened = Store::open(workload.config(directory));
  ASSERT_TRUE(opened.ok()) << opened.status().toString();
  const StoreFigures figures = (*opened)->figures();
  EXPECT_LE(figures.usedBytes, figures.capacityBytes);
  StoreQueue queue;
  for (uint64_t key = 0; key < workload.keys(); ++key) {
    (*opened)->submitGet(test::workloadKey(key), 0, UINT64_MAX, key, queue);
    const StoreCompletion got = queue.waitPop();
    ASSERT_TRUE(got.status.ok() || got.status.code() == ErrorCode::kNotFound)
        << got.status.toString();
    // Evicted at some time.
    if (workload.evicts && !got.status.ok()) continue;
    const auto& possible = oracle.possible(key);
    const auto match = std::find_if(possible.begin(), possible.end(), [&](uint64_t version) {
      if (version == 0 || !got.status.ok()) return version == 0 && !got.status.ok();
      const Bytes expected = test::workloadValue(key, version);
      return std::equal(expected.begin(), expected.end(), got.range().begin(), got.range().end());
    });
    ASSERT_NE(match, possible.end()) << "key " << key << ": lost, stale or wrong";
    oracle.settle(key, *match);
  }
}

void killOften(const test::Workload& workload, uint64_t times) {
  const uint64_t seed = test::askedNumber("SPOLIA_KILL_SEED", 20261121);
  SCOPED_TRACE("SPOLIA_KILL_SEED=" + std::to_string(seed));
  test::TemporaryDirectory directory;
  const std::string path = directory.path() / "store";
  std::mt19937_64 random(seed);
  KillOracle oracle;
  for (uint64_t round = 0; round < times; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    oracle.newLife();
    const Child child = start(workload, path, random(), oracle.lastVersion());
    workAndKill(child, random() % 300, oracle);
    if (testing::Test::HasFatalFailure()) return;
    check(workload, path, oracle);
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(oracle.acknowledged(), 10 * times);
  EXPECT_EQ(oracle.failed(), 0u);
  std::printf("%llu acknowledged\n", static_cast<unsigned long long>(oracle.acknowledged()));
}

TEST(KillNine, LosesNothingAcknowledged) {
  killOften({}, test::askedNumber("SPOLIA_KILLS", 30));
}

TEST(KillNine, NothingWrongFromAStoreThatEvictsAndCleans) {
  killOften({.evicts = true}, test::askedNumber("SPOLIA_KILLS", 30));
}

}  // namespace
}  // namespace spolia::store
