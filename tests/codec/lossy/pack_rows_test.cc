// Every target gives the numbers of the plain formulas.
#include "codec/lossy/pack_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "codec/entropy/simd_targets.h"
#include "codec/scaled/ternary_digits.h"

namespace spolia::codec {
namespace {

constexpr PackForm kForms[] = {{4, 1}, {2, 7}, {1, 127}};

class PackRowsTest : public ::testing::TestWithParam<std::string> {
 private:
  ForcedSimdTarget target_{GetParam()};
};

TEST_P(PackRowsTest, EverySymbolUnpacksToItsDigits) {
  for (PackForm form : kForms) {
    std::vector<uint8_t> symbols(form.escape() + 1);
    for (size_t s = 0; s < symbols.size(); ++s) symbols[s] = static_cast<uint8_t>(s);
    for (bool add : {false, true}) {
      for (int16_t scale : {1, 3, 9}) {
        std::vector<int16_t> to(symbols.size() * form.values + 1, 50);
        EXPECT_EQ(unpackSymbols(symbols.data(), symbols.size(), form, add, scale, to.data()),
                  form.escape());
        EXPECT_EQ(to.back(), 50);
        for (uint32_t s = 0; s < form.escape(); ++s) {
          uint32_t rest = s;
          for (uint32_t i = form.values; i-- > 0; rest /= form.base()) {
            const int digit = static_cast<int>(rest % form.base()) - form.reach;
            ASSERT_EQ(to[s * form.values + i], (add ? 50 : 0) + digit * scale) << s;
          }
        }
      }
    }
  }
}

TEST_P(PackRowsTest, PacksWhatItUnpacks) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const PackForm form = kForms[round % 3];
    const size_t count = random() % 150;
    std::vector<int16_t> values(count * form.values);
    const int reach = round % 2 == 0 ? form.reach : form.reach + 1;
    for (int16_t& v : values) {
      v = static_cast<int16_t>(static_cast<int>(random() % (2 * reach + 1)) - reach);
      if (random() % 50 == 0) v = static_cast<int16_t>(random());
    }
    std::vector<uint8_t> symbols(count + 1, 77);
    const bool any = packValues(values.data(), count, form, symbols.data());
    EXPECT_EQ(symbols.back(), 77);
    EXPECT_EQ(any, std::any_of(values.begin(), values.end(), [](int16_t v) { return v != 0; }));
    std::vector<int16_t> back(values.size());
    unpackSymbols(symbols.data(), count, form, false, 1, back.data());
    for (size_t i = 0; i < count; ++i) {
      bool inside = true;
      for (uint32_t k = 0; k < form.values; ++k) {
        inside &= std::abs(values[i * form.values + k]) <= form.reach;
      }
      ASSERT_EQ(symbols[i] == form.escape(), !inside);
      for (uint32_t k = 0; inside && k < form.values; ++k) {
        ASSERT_EQ(back[i * form.values + k], values[i * form.values + k]);
      }
    }
  }
}

TEST_P(PackRowsTest, SplitsIntoDigits) {
  std::vector<int16_t> finer, coarser;
  for (int v = -8191; v <= 8191; ++v) {
    finer.push_back(static_cast<int16_t>(v));
    coarser.push_back(static_cast<int16_t>((v < 0 ? -1 : 1) * ((std::abs(v) + 1) / 3)));
  }
  std::vector<uint8_t> digits(finer.size());
  splitDigits(finer.data(), coarser.data(), digits.size(), digits.data());
  for (size_t i = 0; i < digits.size(); ++i) {
    ASSERT_LE(digits[i], 2);
    ASSERT_EQ(3 * coarser[i] + digits[i] - 1, finer[i]);
  }
}

// Digit i in byte i % bytes, with the weight 3^(i / bytes).
TEST_P(PackRowsTest, FiveDigitsStandInAByte) {
  std::mt19937 random(4);
  for (size_t bytes = 1; bytes < 130; ++bytes) {
    std::vector<uint8_t> digits(bytes * kDigitsPerByte);
    for (uint8_t& d : digits) d = static_cast<uint8_t>(random() % 3);
    std::vector<std::byte> packed(bytes);
    packTernary(digits.data(), bytes, packed.data());
    for (size_t i = 0; i < bytes; ++i) {
      int value = 0;
      for (size_t k = kDigitsPerByte; k-- > 0;) value = value * 3 + digits[k * bytes + i];
      ASSERT_EQ(std::to_integer<int>(packed[i]), value);
    }
    EXPECT_TRUE(areTernary(packed));
    const size_t first = random() % digits.size();
    const size_t count = random() % (digits.size() - first) + 1;
    std::vector<int16_t> to(count + 1, 100);
    addTernary(packed, first, count, 3, to.data());
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(to[i], 100 + 3 * (digits[first + i] - 1));
    EXPECT_EQ(to[count], 100);
    packed[random() % bytes] = static_cast<std::byte>(243 + random() % 13);
    EXPECT_FALSE(areTernary(packed));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, PackRowsTest, ::testing::ValuesIn(simdTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace spolia::codec
