#include "codec/values/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace spolia::codec {
namespace {

TEST(Half, EveryF16WidensAndComesBack) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const float wide = f32FromF16(static_cast<uint16_t>(h));
    const int exponent = static_cast<int>(h >> 10 & 31);
    const double fraction = h & 1023;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(wide), fraction != 0);
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(wide, h & 0x8000 ? -magnitude : magnitude) << h;
    ASSERT_EQ(f16FromF32(wide), h);
  }
}

TEST(Half, NanPayloadsSurviveWidening) {
  EXPECT_EQ(std::bit_cast<uint32_t>(f32FromF16(0x7d01)), 0x7fa02000u);
  EXPECT_EQ(std::bit_cast<uint32_t>(f32FromF16(0xfc00)), 0xff800000u);
}

TEST(Half, MidpointsGoToEven) {
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const float low = f32FromF16(static_cast<uint16_t>(h));
    const float high = f32FromF16(static_cast<uint16_t>(h + 1));
    const float middle = (low + high) / 2;
    ASSERT_EQ(f16FromF32(middle), h % 2 == 0 ? h : h + 1) << h;
    ASSERT_EQ(f16FromF32(std::nextafter(middle, low)), h);
    ASSERT_EQ(f16FromF32(std::nextafter(middle, high)), h + 1);
  }
  EXPECT_EQ(bf16FromF32(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(bf16FromF32(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(bf16FromF32(std::bit_cast<float>(0x3f808001u)), 0x3f81);
}

}  // namespace
}  // namespace spolia::codec
