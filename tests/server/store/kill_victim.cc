// Puts, replaces and removes in a store without end, telling each intent and each acknowledgement
// on standard output, until it is killed.
//   kill_victim DIRECTORY SEED FIRST_VERSION [evicts]
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "server/store/store.h"
#include "tests/support/store_workload.h"

namespace spolia {
namespace {

void tell(const test::WorkloadEvent& event) {
  if (::write(STDOUT_FILENO, &event, sizeof event) != sizeof event) std::exit(3);
}

int run(const test::Workload& workload, const std::string& directory, uint64_t seed,
        uint64_t version) {
  auto opened = store::Store::open(workload.config(directory));
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.status().toString().c_str());
    return 2;
  }
  store::Store& store = **opened;
  store::StoreQueue queue;
  std::mt19937_64 random(seed);
  std::map<uint64_t, test::WorkloadEvent> open;
  for (uint64_t operation = 0;; ++operation) {
    const uint64_t key = random() % workload.keys();
    const bool remove = random() % 4 == 0;
    const test::WorkloadEvent event{test::WorkloadEvent::kIntent, operation, key,
                                    remove ? 0 : ++version};
    open[operation] = event;
    tell(event);
    if (random() % 3 == 0) {
      store::StoreQueue gets;
      store.submitGet(test::workloadKey(random() % workload.keys()), 0, UINT64_MAX, 0, gets);
      gets.waitPop();
    }
    if (remove) {
      store.submitRemove(test::workloadKey(key), operation, queue);
    } else {
      store::PutRequest request;
      request.meta.key = test::workloadKey(key);
      request.payload = AlignedBuffer::copyOf(test::workloadValue(key, version));
      request.policy = store::PutPolicy::kReplace;
      store.submitPut(std::move(request), operation, queue);
    }
    while (open.size() > random() % 12) {
      const store::StoreCompletion done = queue.waitPop();
      test::WorkloadEvent answer = open.extract(done.cookie).mapped();
      const bool absent = answer.version == 0 && done.status.code() == ErrorCode::kNotFound;
      answer.kind = done.status.ok() || absent ? test::WorkloadEvent::kAcknowledged
                                               : test::WorkloadEvent::kFailed;
      tell(answer);
    }
  }
}

}  // namespace
}  // namespace spolia

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s DIRECTORY SEED FIRST_VERSION [evicts]\n", argv[0]);
    return 2;
  }
  return spolia::run(spolia::test::Workload{argc > 4}, argv[1], std::strtoull(argv[2], nullptr, 10),
                     std::strtoull(argv[3], nullptr, 10));
}
