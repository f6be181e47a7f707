#include "codec/base/digest.h"

#include <gtest/gtest.h>

#include "codec/base/bytes.h"

namespace spolia {
namespace {

// FIPS 180-2, appendix B.1.
TEST(Digest, Sha256OfAbc) {
  const char* expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(toHex(sha256(asBytes("abc"))), expected);
  EXPECT_EQ(toHex(Sha256().update("a").update("bc").finish()), expected);
}

// RFC 4231, test case 2.
TEST(Digest, HmacSha256) {
  EXPECT_EQ(toHex(hmacSha256(asBytes("Jefe"), asBytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Digest, HexRoundTripsAndRefusesOthers) {
  const auto digest = sha256(asBytes("x"));
  std::string hex = toHex(digest);
  EXPECT_EQ(digestFromHex(hex).value(), digest);
  hex[0] = 'A';
  EXPECT_TRUE(digestFromHex(hex).ok());
  hex[5] = 'g';
  EXPECT_EQ(digestFromHex(hex).status().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(digestFromHex("abc").status().code(), ErrorCode::kInvalidArgument);
}

TEST(Digest, ConstantTimeEqualCompares) {
  EXPECT_TRUE(constantTimeEqual(asBytes("same"), asBytes("same")));
  EXPECT_FALSE(constantTimeEqual(asBytes("same"), asBytes("sane")));
  EXPECT_FALSE(constantTimeEqual(asBytes("same"), asBytes("sam")));
}

}  // namespace
}  // namespace spolia
