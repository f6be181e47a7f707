#include "server/store/lifetime/store_clock.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <random>

#include "server/store/store_files.h"
#include "tests/support/temporary_directory.h"

namespace spolia::store {
namespace {

constexpr uint64_t kMinute = 60 * 1000;
constexpr uint64_t kHour = 60 * kMinute;
constexpr uint64_t kDay = 24 * kHour;
constexpr uint64_t kNow = 1'800'000'000'000;

// A machine whose clocks are set by hand.
struct Machine {
  uint64_t wall = kNow;
  uint64_t boot = kHour;
  std::string id = "first";
  std::optional<ClockState> kept;
  bool diskFull = false;

  void pass(uint64_t ms) {
    wall += ms;
    boot += ms;
  }
  void reboot() {
    id += "+";
    boot = kMinute;
  }
  ClockSources sources() {
    return {[this] { return wall; }, [this] { return boot; }, id};
  }
  StoreClock::Keep keep() {
    return [this](const ClockState& state) {
      if (diskFull) return Status(ErrorCode::kOutOfSpace, "full");
      kept = state;
      return Status();
    };
  }
  std::unique_ptr<StoreClock> open() {
    auto clock = std::make_unique<StoreClock>(sources(), kept, keep());
    EXPECT_TRUE(diskFull || clock->tick().ok());
    return clock;
  }
};

TEST(StoreClock, BeginsWithTheWallClockAndGoesOnWithTheMachine) {
  Machine machine;
  const auto clock = machine.open();
  EXPECT_EQ(clock->nowMs(), kNow);
  machine.pass(5 * kMinute);
  EXPECT_EQ(clock->nowMs(), kNow + 5 * kMinute);
  EXPECT_EQ(clock->nowSeconds(), (kNow + 5 * kMinute) / 1000);
}

TEST(StoreClock, AWallClockThatJumpsChangesNothingAtOnce) {
  Machine machine;
  const auto clock = machine.open();
  for (const int64_t jump : {int64_t{kDay}, -2 * int64_t{kDay}}) {
    const uint64_t before = clock->nowMs();
    machine.wall += static_cast<uint64_t>(jump);
    EXPECT_EQ(clock->nowMs(), before);
    ASSERT_TRUE(clock->tick().ok());
    EXPECT_EQ(clock->nowMs(), before);
  }
}

TEST(StoreClock, ComesNearerToAWallClockThatIsAheadByAQuarterOfTheTime) {
  Machine machine;
  const auto clock = machine.open();
  machine.wall += kDay;
  for (int i = 0; i < 60; ++i) {
    machine.pass(kMinute);
    ASSERT_TRUE(clock->tick().ok());
  }
  EXPECT_EQ(clock->nowMs(), kNow + kHour + kHour / 4);
  for (int i = 0; i < 4 * 24 * 60; ++i) {
    machine.pass(kMinute);
    ASSERT_TRUE(clock->tick().ok());
  }
  EXPECT_EQ(clock->nowMs(), machine.wall) << "level, and not beyond";
}

TEST(StoreClock, AheadOfTheWallClockItGoesOn) {
  Machine machine;
  const auto clock = machine.open();
  machine.wall -= kDay;
  for (int i = 0; i < 60; ++i) {
    machine.pass(kMinute);
    ASSERT_TRUE(clock->tick().ok());
  }
  EXPECT_EQ(clock->nowMs(), kNow + kHour);
}

TEST(StoreClock, WhileTheMachineRunsOnAnOpeningKnowsTheTimeExactly) {
  for (const int64_t jump : {int64_t{0}, int64_t{kDay}, -int64_t{kDay}}) {
    Machine machine;
    machine.open();  // killed: nothing but the first state is kept
    machine.pass(30 * kDay);
    machine.wall += static_cast<uint64_t>(jump);
    EXPECT_EQ(machine.open()->nowMs(), kNow + 30 * kDay);
  }
}

TEST(StoreClock, AfterARestartOfTheMachineAnHourIsBelieved) {
  struct Case {
    uint64_t off;
    int64_t jump;
    uint64_t least, most;
  };
  // What was kept allows for two ticks.
  for (const Case& c : {Case{10 * kMinute, 0, 10 * kMinute, 10 * kMinute},
                        Case{kDay, 0, kHour, kHour + 2 * kMinute},
                        Case{kMinute, int64_t{kDay}, kHour, kHour + 2 * kMinute},
                        Case{kMinute, -int64_t{kDay}, 0, 2 * kMinute}}) {
    Machine machine;
    machine.open();
    machine.pass(c.off);
    machine.wall += static_cast<uint64_t>(c.jump);
    machine.reboot();
    const uint64_t now = machine.open()->nowMs();
    EXPECT_GE(now, kNow + c.least);
    EXPECT_LE(now, kNow + c.most);
  }
}

TEST(StoreClock, NeverGoesBackOverKillsRestartsAndJumps) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Machine machine;
    uint64_t told = 0;
    for (int opening = 0; opening < 20; ++opening) {
      const auto clock = machine.open();
      EXPECT_GE(clock->nowMs(), told) << "seed " << seed;
      for (uint64_t i = random() % 50; i > 0; --i) {
        machine.pass(random() % StoreClock::kTickMs);
        if (random() % 8 == 0) machine.wall += kDay * (random() % 3) - kDay;
        const uint64_t now = clock->nowMs();
        EXPECT_GE(now, told) << "seed " << seed;
        told = now;
        ASSERT_TRUE(clock->tick().ok());
      }
      if (random() % 3 == 0) {
        EXPECT_TRUE(clock->stop().ok());
      }
      machine.pass(random() % kDay);
      if (random() % 2 == 0) machine.reboot();
    }
  }
}

TEST(StoreClock, WhatCannotBeKeptDoesNotStopIt) {
  Machine machine;
  const auto clock = machine.open();
  machine.diskFull = true;
  machine.wall += kDay;
  machine.pass(kHour);
  EXPECT_EQ(clock->tick().code(), ErrorCode::kOutOfSpace);
  EXPECT_EQ(clock->nowMs(), kNow + kHour);
  machine.diskFull = false;
  ASSERT_TRUE(clock->tick().ok());
  EXPECT_EQ(clock->nowMs(), kNow + kHour + kHour / 4);
}

TEST(StoreClock, ALifetimeIsNeverShorterThanAsked) {
  Machine machine;
  machine.wall = kNow + 1;
  const auto clock = machine.open();
  EXPECT_EQ(clock->secondsAfter(10), kNow / 1000 + 11);
  EXPECT_EQ(clock->secondsAfter(UINT64_MAX), UINT64_MAX);
}

TEST(StoreClock, ItsFileIsReadAsWrittenAndKnownWhenItIsNotOurs) {
  test::TemporaryDirectory directory;
  EXPECT_FALSE(readClock(directory.path())->has_value());
  for (const ClockState& state : {ClockState{"b00t-id", 12, 34}, ClockState{"", 0, UINT64_MAX}}) {
    ASSERT_TRUE(writeClock(directory.path(), state).ok());
    EXPECT_EQ(*readClock(directory.path()), state);
  }
  std::string text;
  {
    std::ifstream in(directory.path() / "CLOCK");
    std::getline(in, text);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string broken = text;
    broken[i] = broken[i] == '7' ? '8' : '7';
    std::ofstream(directory.path() / "CLOCK") << broken << "\n";
    EXPECT_EQ(readClock(directory.path()).status().code(), ErrorCode::kCorrupt) << broken;
  }
}

}  // namespace
}  // namespace spolia::store
