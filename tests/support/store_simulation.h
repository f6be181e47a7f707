// A store on a simulated disk beside a model of what it may answer. A seed decides the store's
// shape, the workload, the order of completions, the faults and what a crash leaves.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "server/store/lifetime/expiry_sweep.h"
#include "server/store/lifetime/store_clock.h"
#include "server/store/recovery.h"
#include "server/store/store_engine.h"
#include "tests/support/map_index.h"
#include "tests/support/sim_ring.h"

namespace spolia::test {

inline StoreKey simulationKey(uint64_t n) {
  StoreKey key;
  key.bytes = sha256(std::as_bytes(std::span(&n, 1)));
  return key;
}

// Value `version` of a key: begins with both numbers, so that any one is recognised.
inline Bytes simulationValue(uint64_t key, uint64_t version, uint64_t maxBytes) {
  uint64_t state = key * 0x9e3779b97f4a7c15u ^ (version + 1) * 0xbf58476d1ce4e5b9u;
  const auto next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  };
  Bytes out(16 + next() % maxBytes);
  std::memcpy(out.data(), &key, 8);
  std::memcpy(out.data() + 8, &version, 8);
  for (size_t i = 16; i < out.size(); i += 8) {
    const uint64_t word = next();
    std::memcpy(out.data() + i, &word, std::min<size_t>(8, out.size() - i));
  }
  return out;
}

// First in, first out, and tells what it gave up.
class TellingPolicy final : public store::EvictionPolicy {
 public:
  TellingPolicy(uint64_t capacity, std::function<void(uint64_t keyHash)> told)
      : EvictionPolicy(capacity), told_(std::move(told)) {}
  std::string_view name() const override { return "telling"; }
  size_t stateBytes() const override { return 0; }
  bool contains(store::Slot slot) const override { return chunks_.contains(slot); }

 private:
  struct Chunk {
    uint64_t keyHash, order;
  };
  void onInsert(store::Slot slot, const store::ChunkTraits& chunk, uint64_t) override {
    chunks_[slot] = {chunk.keyHash, next_++};
  }
  void onTouch(store::Slot, uint64_t, uint64_t) override {}
  void onRemove(store::Slot slot, uint64_t keyHash, store::Departure why) override {
    if (why == store::Departure::kEvicted) told_(keyHash);
    chunks_.erase(slot);
  }
  store::Slot onChooseVictim(uint64_t) override {
    const auto first =
        std::ranges::min_element(chunks_, {}, [](const auto& chunk) { return chunk.second.order; });
    return first == chunks_.end() ? store::kNoSlot : first->first;
  }
  void onPostpone(store::Slot slot, uint64_t) override { chunks_.at(slot).order = next_++; }

  const std::function<void(uint64_t)> told_;
  std::map<store::Slot, Chunk> chunks_;
  uint64_t next_ = 0;
};

struct SimulationShape {
  uint64_t segmentBytes = 1 << 20;
  uint32_t maxSegments = 6;
  uint64_t keys = 12;
  uint64_t maxValue = 150000;
  bool evicts = false;
  uint64_t worthSync = 64 << 10;  // one value or several
  bool expires = false;           // some puts have a time to live, and some entries are leased
  bool alike = false;             // any value of every second key is as good as another

  static SimulationShape of(uint64_t seed) {
    std::mt19937_64 random(seed);
    SimulationShape shape;
    shape.segmentBytes = uint64_t{256} << 10 << random() % 3;
    shape.maxSegments = 2 + static_cast<uint32_t>(random() % 5);
    shape.keys = 3 + random() % 24;
    constexpr uint64_t kValues[] = {300, 9000, 70000, 150000};
    shape.maxValue = kValues[random() % std::size(kValues)];
    shape.evicts = random() % 2 == 0;
    shape.expires = random() % 3 == 0;
    shape.alike = random() % 2 == 0;
    // Enough for two that are open at a time.
    if (shape.alike && random() % 2 == 0) {
      shape.segmentBytes = 64 << 10;
      shape.maxSegments = 12 + static_cast<uint32_t>(random() % 4);
      shape.maxValue = std::min<uint64_t>(shape.maxValue, 40000);
    }
    return shape;
  }
};

class StoreSimulation {
 public:
  explicit StoreSimulation(uint64_t seed) : StoreSimulation(seed, SimulationShape::of(seed)) {}
  StoreSimulation(uint64_t seed, SimulationShape shape)
      : shape_(shape), cap_(shape.maxSegments), random_(seed), disk_(seed ^ 0x5eed) {
    spdlog::set_level(std::getenv("SPOLIA_SIM_TRACE") ? spdlog::level::warn : spdlog::level::off);
    for (uint64_t key = 0; key < shape_.keys; ++key) possible_[key] = {0};
  }

  SimDisk& disk() { return disk_; }
  std::mt19937_64& random() { return random_; }
  const SimulationShape& shape() const { return shape_; }
  const store::StoreEngine& engine() const { return *engine_; }
  // From the next opening on.
  void setCap(uint32_t segments) { cap_ = segments; }
  // Of each entry that is put.
  void attributes(size_t bytes) { attributeBytes_ = bytes; }
  void limitIndexFiles(uint64_t bytes) { indexFileBytes_ = bytes; }
  // Instead of one in memory; it is not lost with the power.
  void useIndex(std::function<std::unique_ptr<store::Index>()> open) {
    openIndex_ = std::move(open);
  }
  MapIndex& index() { return index_; }
  store::LeaseTable& leases() { return *leases_; }
  uint64_t acknowledged() const { return acknowledged_; }

  // `blind`: the disk fails to read while the store recovers, so records may be hidden from it for
  // as long as it is open; nothing may be lost by that.
  void open(bool blind = false) {
    tell(blind ? "open, blind" : "open");
    save();
    ring_ = std::make_unique<SimRing>(disk_);
    if (openIndex_) ownIndex_ = openIndex_();
    store::Index& index = ownIndex_ ? *ownIndex_ : index_;
    store::Recovery recovery(*ring_, index);
    Status status = recovery.openSegments();
    ASSERT_TRUE(status.ok()) << status.toString();
    status = recovery.replay();
    ASSERT_TRUE(status.ok()) << status.toString();
    Result<store::SegmentTable> table = recovery.finish();
    ASSERT_TRUE(table.ok()) << table.status().toString();
    startTime();
    store::EngineConfig config;
    config.log = {shape_.segmentBytes, cap_, ++epoch_, true, shape_.worthSync};
    config.indexFileBytes = indexFileBytes_;
    config.clock = [this] { return clock_->nowSeconds(); };
    config.leases = leases_.get();
    config.expires = [this](uint64_t at) { sweep_->note(at); };
    if (shape_.alike) {
      config.valuesAlike = [this](const store::EntryMeta& meta) {
        return alike(keyOf(meta.key)) && meta.expiresAt == 0;
      };
    }
    config.damaged = [this](const StoreKey& key) { damaged_.push_back(key); };
    if (shape_.evicts) {
      config.makePolicy = [this](uint64_t capacity) {
        return std::make_unique<TellingPolicy>(capacity, [this](uint64_t keyHash) {
          EXPECT_FALSE(leased(keyHash)) << "evicted under a lease";
          evicted_.push_back(keyHash);
        });
      };
    }
    engine_ =
        std::make_unique<store::StoreEngine>(std::move(config), *ring_, index, std::move(*table));
    noteEvictions();
    noteDamaged();
  }

  // One random operation; its answer is awaited some time.
  void step() {
    if (shape_.expires) passTime();
    const uint64_t choice = random_() % 10;
    submit(choice < 5   ? store::StoreOp::Kind::kPut
           : choice < 7 ? store::StoreOp::Kind::kRemove
                        : store::StoreOp::Kind::kGet,
           random_() % shape_.keys);
    if (random_() % 2 == 0) engine_->pump(store::Ring::Wait::kPoll);
    answers();
  }

  void submit(store::StoreOp::Kind kind, uint64_t key) {
    store::StoreOp op;
    op.kind = kind;
    op.queue = &queue_;
    op.cookie = nextCookie_++;
    op.key = simulationKey(key);
    op.length = UINT64_MAX;
    if (kind == store::StoreOp::Kind::kGet) {
      gets_[op.cookie] = key;
    } else {
      const uint64_t version = kind == store::StoreOp::Kind::kPut ? ++versions_[key] : 0;
      if (version != 0) {
        op.put.meta.key = op.key;
        op.put.meta.attributes = simulationValue(key, version, 1);
        op.put.meta.attributes.resize(attributeBytes_, std::byte{1});
        op.put.payload = AlignedBuffer::copyOf(simulationValue(key, version, shape_.maxValue));
        op.put.policy = store::PutPolicy::kReplace;
        if (shape_.expires && random_() % 2 == 0) {
          op.put.meta.expiresAt = clock_->secondsAfter(1 + random_() % 600);
          expiries_[{key, version}] = op.put.meta.expiresAt;
        }
      }
      tell((version == 0 ? "remove " : "put ") + std::to_string(key) + " version " +
           std::to_string(version));
      mutations_[op.cookie] = {key, version};
      possible_[key].insert(version);
    }
    engine_->accept(std::move(op));
  }

  // Until nothing accepted is unfinished; the seed is lost to a store that never gets there.
  void crank() {
    constexpr int kEnough = 1'000'000;
    int turns = 0;
    for (; !engine_->idle() && turns < kEnough; ++turns) engine_->pump(store::Ring::Wait::kPoll);
    ASSERT_LT(turns, kEnough) << "an operation is never finished";
  }

  void finish() {
    crank();
    answers();
    ASSERT_TRUE(mutations_.empty() && gets_.empty()) << "an operation was never answered";
  }

  // The process is gone, the machine is not: what was written is there, synced or not.
  void kill() {
    tell("kill");
    noteExpired();
    engine_.reset();
    ownIndex_.reset();
    ring_.reset();
    queue_.drain();
    noteEvictions();
    noteDamaged();
    mutations_.clear();
    // What a read in flight found damaged may be gone.
    for (const auto& [cookie, key] : gets_) possible_[key].insert(0);
    gets_.clear();
  }

  void powerLoss() {
    kill();
    tell("power loss");
    disk_.crash();
    // Anything between nothing and all of the index survives; at times all of it is lost.
    loseIndex(random_() % 4 == 0 ? 0 : random_() % (index_.batches() + 1));
    if (!shape_.expires) return;
    bootId_ += '+';
    bootMs_ = random_() % 100000;
    jumpWall();
  }

  // Of one that is not open.
  std::map<std::string, Bytes> segments() const {
    std::map<std::string, Bytes> out = disk_.contents();
    std::erase_if(out, [](const auto& file) { return !store::segmentIdOf(file.first); });
    return out;
  }

  void loseIndex(size_t kept = 0) {
    tell("index keeps " + std::to_string(kept) + " of " + std::to_string(index_.batches()));
    index_.crash(kept);
  }

  // Every key reads as one of the values it may have; then it has that one for certain. Keys in
  // `damaged` may have any.
  void check(uint64_t damagedKeysAllowed = 0) {
    disk_.setFaults({});
    for (uint64_t key = 0; key < shape_.keys; ++key) {
      const store::StoreCompletion got = get(key);
      // Read, and given up before the next one is.
      const bool evicted = std::ranges::any_of(
          evicted_, [&](uint64_t keyHash) { return keyHash == keyHashOf(key); });
      noteEvictions();
      noteExpired();
      const std::optional<uint64_t> version = versionOf(key, got);
      ASSERT_TRUE(version) << "key " << key << ": " << got.status.toString();
      auto& possible = possible_[key];
      if (!possible.contains(*version) && damagedKeysAllowed > 0) {
        --damagedKeysAllowed;
      } else {
        ASSERT_TRUE(possible.contains(*version))
            << "key " << key << " has version " << *version << " and may have " << listed(possible);
      }
      possible = {*version};
      if (evicted) possible.insert(0);
      blur(key);
      if (*version == 0 || evicted) {
        possible.insert(undone_[key].begin(), undone_[key].end());
      } else {
        undone_.erase(key);
      }
    }
  }

 private:
  struct Mutation {
    uint64_t key;
    uint64_t version;
    bool expired = false;  // before it was answered
  };

  // SPOLIA_SIM_TRACE=1 shows what happens.
  static void tell(const std::string& what) {
    static const bool wanted = std::getenv("SPOLIA_SIM_TRACE") != nullptr;
    if (wanted) std::fprintf(stderr, "%s\n", what.c_str());
  }

  // SPOLIA_SIM_DUMP=DIRECTORY keeps the segments as the last opening found them.
  void save() {
    const char* directory = std::getenv("SPOLIA_SIM_DUMP");
    if (directory == nullptr) return;
    for (const auto& [name, bytes] : disk_.contents()) {
      std::ofstream(std::string(directory) + "/" + std::to_string(epoch_) + "." + name,
                    std::ios::binary)
          << asText(bytes);
    }
  }

  static std::string listed(const std::set<uint64_t>& versions) {
    std::string out;
    for (uint64_t v : versions) out += (out.empty() ? "" : ", ") + std::to_string(v);
    return out;
  }

  store::StoreCompletion get(uint64_t key) {
    store::StoreOp op;
    op.queue = &queue_;
    op.key = simulationKey(key);
    op.length = UINT64_MAX;
    engine_->accept(std::move(op));
    crank();
    auto done = queue_.drain();
    return done.size() == 1 ? std::move(done[0]) : store::StoreCompletion{};
  }

  // 0 for absence; nothing when the bytes are of no version at all.
  std::optional<uint64_t> versionOf(uint64_t key, const store::StoreCompletion& got) {
    if (got.status.code() == ErrorCode::kNotFound) return 0;
    const ByteSpan bytes = got.range();
    if (!got.status.ok() || bytes.size() < 16) return std::nullopt;
    uint64_t version = 0;
    std::memcpy(&version, bytes.data() + 8, 8);
    if (version == 0 || version > versions_[key]) return std::nullopt;
    const Bytes expected = simulationValue(key, version, shape_.maxValue);
    const bool same = std::equal(expected.begin(), expected.end(), bytes.begin(), bytes.end());
    return same ? std::optional(version) : std::nullopt;
  }

  static constexpr uint64_t kDayMs = 24 * 3600 * 1000;

  void startTime() {
    store::ClockSources sources{[this] { return wallMs_; }, [this] { return bootMs_; }, bootId_};
    clock_ = std::make_unique<store::StoreClock>(std::move(sources), kept_, [this](auto& state) {
      kept_ = state;
      return Status();
    });
    ASSERT_TRUE(clock_->tick().ok());
    store::LeaseLimits limits;
    leases_ = std::make_unique<store::LeaseTable>(limits, [this] { return bootMs_; });
    sweep_ = std::make_unique<store::ExpirySweep>([this] { return clock_->nowSeconds(); });
  }

  void jumpWall() {
    if (random_() % 2 == 0) wallMs_ = wallMs_ + random_() % 3 * kDayMs - kDayMs;
  }

  // Some time goes by, and what a store does with it: its clock is kept, what has expired goes, and
  // leases come and go.
  void passTime() {
    const uint64_t ms =
        random_() % 4 == 0 ? random_() % store::StoreClock::kTickMs : random_() % 50;
    bootMs_ += ms;
    wallMs_ += ms;
    if (random_() % 16 == 0) jumpWall();
    ASSERT_TRUE(clock_->tick().ok());
    noteExpired();
    if (random_() % 4 == 0) sweepSome();
    if (random_() % 4 == 0) leaseSome();
  }

  void sweepSome() {
    if (!sweep_->due()) return;
    auto expired = sweep_->step(ownIndex_ ? *ownIndex_ : index_);
    ASSERT_TRUE(expired.ok());
    store::StoreOp op;
    op.kind = store::StoreOp::Kind::kExpire;
    op.keys = std::move(*expired);
    engine_->accept(std::move(op));
  }

  void leaseSome() {
    const uint64_t key = random_() % shape_.keys;
    store::Index& index = ownIndex_ ? *ownIndex_ : index_;
    const auto known = index.find(simulationKey(key));
    if (!known.ok() || !*known || engine_->expired((*known)->meta)) return;
    tell("lease " + std::to_string(key));
    const store::LeaseItem item{simulationKey(key), {(*known)->address.length, 100}};
    const auto lease = leases_->grant({1, "tenant"}, {&item, 1}, random_() % 200000);
    ASSERT_TRUE(lease.ok()) << lease.status().toString();
    if (random_() % 8 == 0) leases_->release(lease->id);
  }

  bool leased(uint64_t keyHash) const {
    for (uint64_t key = 0; key < shape_.keys; ++key) {
      const StoreKey full = simulationKey(key);
      if (store::Residents::prefixOf(full) == keyHash) return leases_->holds(full);
    }
    return false;
  }

  // A value whose time is over is gone, whatever the clocks do later, unless it is leased.
  void noteExpired() {
    if (!clock_) return;
    const uint64_t now = clock_->nowSeconds();
    for (auto it = expiries_.begin(); it != expiries_.end();) {
      const auto [key, version] = it->first;
      if (it->second > now || leases_->holds(simulationKey(key))) {
        ++it;
        continue;
      }
      tell("key " + std::to_string(key) + " version " + std::to_string(version) + " has expired");
      if (possible_[key].erase(version) > 0) possible_[key].insert(0);
      undone_[key].erase(version);
      over_.insert(it->first);
      // One that is not answered yet becomes nothing.
      for (auto& [cookie, mutation] : mutations_) {
        if (mutation.key == key && mutation.version == version) mutation.expired = true;
      }
      it = expiries_.erase(it);
    }
  }

  static uint64_t keyHashOf(uint64_t key) {
    return store::ResidentPool::hashOf(store::Residents::prefixOf(simulationKey(key)));
  }

  // What was found damaged is gone.
  void noteDamaged() {
    for (const StoreKey& lost : std::exchange(damaged_, {})) {
      for (auto& [key, possible] : possible_) {
        if (simulationKey(key) == lost) possible.insert(0);
      }
    }
  }

  bool alike(uint64_t key) const { return shape_.alike && key % 2 == 1; }

  uint64_t keyOf(const StoreKey& full) const {
    uint64_t key = 0;
    while (key < shape_.keys && simulationKey(key) != full) ++key;
    return key;
  }

  // Of a key that was evicted and not written to since any value will do, if there is one.
  void blur(uint64_t key) {
    std::set<uint64_t>& possible = possible_[key];
    if (!blurred_.contains(key) || possible == std::set<uint64_t>{0}) return;
    for (uint64_t version = 1; version <= versions_[key]; ++version) {
      if (!over_.contains({key, version})) possible.insert(version);
    }
  }

  // An evicted value is gone, and may come back when the index is lost, or one that is as good.
  void noteEvictions() {
    for (const uint64_t keyHash : std::exchange(evicted_, {})) {
      for (auto& [key, possible] : possible_) {
        if (keyHashOf(key) != keyHash) continue;
        tell("key " + std::to_string(key) + " is evicted");
        if (alike(key)) blurred_.insert(key);
        blur(key);
        undone_[key].insert(possible.begin(), possible.end());
        possible.insert(0);
      }
    }
  }

  void answers() {
    for (store::StoreCompletion& done : queue_.drain()) {
      if (const auto get = gets_.extract(done.cookie); !get.empty()) {
        answeredGet(get.mapped(), done);
        continue;
      }
      const auto node = mutations_.extract(done.cookie);
      ASSERT_FALSE(node.empty()) << "answered twice";
      answeredMutation(node.mapped(), done);
    }
    noteEvictions();
  }

  // A failed read is a miss; data that is served is right.
  void answeredGet(uint64_t key, const store::StoreCompletion& done) {
    if (done.status.code() == ErrorCode::kCorrupt) {
      tell("key " + std::to_string(key) + " is quarantined");
      possible_[key].insert(0);  // quarantined, unless it was replaced meanwhile
      return;
    }
    if (done.status.code() == ErrorCode::kIoError) return;
    EXPECT_TRUE(versionOf(key, done)) << done.status.toString();
  }

  void answeredMutation(const Mutation& m, const store::StoreCompletion& done) {
    tell("key " + std::to_string(m.key) + " version " + std::to_string(m.version) + ": " +
         done.status.toString());
    const ErrorCode code = done.status.code();
    const bool removedNothing = m.version == 0 && code == ErrorCode::kNotFound;
    if (code != ErrorCode::kOk && !removedNothing) {
      EXPECT_TRUE(code == ErrorCode::kIoError || code == ErrorCode::kOutOfSpace ||
                  code == ErrorCode::kUnavailable)
          << done.status.toString();
      return;  // in doubt until the next check
    }
    ++acknowledged_;
    // Mutations of a key happen in order: earlier values are gone, later ones may come.
    auto& possible = possible_[m.key];
    undone_.erase(m.key);
    blurred_.erase(m.key);
    for (auto it = possible.begin(); it != possible.end();) {
      const bool later = std::any_of(mutations_.begin(), mutations_.end(), [&](const auto& e) {
        return e.second.key == m.key && e.second.version == *it && e.first > done.cookie;
      });
      // One that comes later and has expired by now reads as nothing.
      const bool nothing = std::any_of(mutations_.begin(), mutations_.end(), [&](const auto& e) {
        return e.second.key == m.key && e.second.expired && e.first > done.cookie;
      });
      const bool own = *it == (m.expired ? 0 : m.version) || (*it == 0 && nothing);
      it = later || own ? std::next(it) : possible.erase(it);
    }
    if (m.expired) possible.insert(0);
  }

  const SimulationShape shape_;
  uint32_t cap_;  // segments
  size_t attributeBytes_ = 0;
  uint64_t indexFileBytes_ = UINT64_MAX;
  std::mt19937_64 random_;
  SimDisk disk_;
  MapIndex index_;
  std::function<std::unique_ptr<store::Index>()> openIndex_;
  std::unique_ptr<store::Index> ownIndex_;
  std::unique_ptr<SimRing> ring_;
  std::unique_ptr<store::StoreEngine> engine_;
  store::StoreQueue queue_;
  uint32_t epoch_ = 0;
  uint64_t nextCookie_ = 1;
  uint64_t acknowledged_ = 0;
  std::map<uint64_t, uint64_t> versions_;            // by key: last value made
  std::map<uint64_t, std::set<uint64_t>> possible_;  // by key: values it may read as
  std::map<uint64_t, std::set<uint64_t>> undone_;    // by key: values whose eviction may be undone
  // Time, as the machine has it and as the store has it.
  uint64_t wallMs_ = 1'800'000'000'000;
  uint64_t bootMs_ = 1000;
  std::string bootId_ = "boot";
  std::optional<store::ClockState> kept_;
  std::unique_ptr<store::StoreClock> clock_;
  std::unique_ptr<store::LeaseTable> leases_;
  std::unique_ptr<store::ExpirySweep> sweep_;
  // By key and value: when it expires.
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> expiries_;
  std::set<std::pair<uint64_t, uint64_t>> over_;  // those that have expired
  std::set<uint64_t> blurred_;                    // keys
  std::vector<StoreKey> damaged_;                 // not yet taken into account
  std::vector<uint64_t> evicted_;                 // key hashes, not yet taken into account
  std::map<uint64_t, Mutation> mutations_;        // by cookie: unanswered
  std::map<uint64_t, uint64_t> gets_;             // by cookie: key
};

}  // namespace spolia::test
