#include "client/protocol/errors.h"

#include <gtest/gtest.h>

namespace spolia::protocol {
namespace {

TEST(Errors, EveryStatusSurvivesTheWay) {
  for (int code = 1; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const Status status(static_cast<ErrorCode>(code), "field: what was expected");
    const kj::Exception sent = toException(status);
    // The RPC layer of the other end adds this.
    const kj::Exception received(sent.getType(), "remote", 0,
                                 kj::str("remote exception: ", sent.getDescription()));
    EXPECT_EQ(toStatus(received).code(), status.code());
    EXPECT_EQ(toStatus(received).message(), status.message());
  }
}

TEST(Errors, OurFailuresDoNotLookLikeABrokenConnection) {
  for (int code = 1; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    EXPECT_NE(toException(Status(static_cast<ErrorCode>(code), "x")).getType(),
              kj::Exception::Type::DISCONNECTED);
  }
}

TEST(Errors, OtherExceptionsGoByTheirType) {
  using Type = kj::Exception::Type;
  const auto codeOf = [](Type type, const char* text) {
    return toStatus(kj::Exception(type, "file", 1, kj::heapString(text))).code();
  };
  EXPECT_EQ(codeOf(Type::DISCONNECTED, "gone"), ErrorCode::kUnavailable);
  EXPECT_EQ(codeOf(Type::OVERLOADED, "much"), ErrorCode::kResourceExhausted);
  EXPECT_EQ(codeOf(Type::OVERLOADED, "operation timed out"), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(codeOf(Type::UNIMPLEMENTED, "no"), ErrorCode::kUnsupported);
  EXPECT_EQ(codeOf(Type::FAILED, "bug"), ErrorCode::kInternal);
  // What a peer of another build or a malicious one may send.
  EXPECT_EQ(codeOf(Type::FAILED, "spolia error 99: x"), ErrorCode::kInternal);
  EXPECT_EQ(codeOf(Type::FAILED, "spolia error 0: x"), ErrorCode::kInternal);
  EXPECT_EQ(codeOf(Type::FAILED, "spolia error : x"), ErrorCode::kInternal);
  EXPECT_EQ(codeOf(Type::FAILED, "spolia error 99999999999: x"), ErrorCode::kInternal);
}

}  // namespace
}  // namespace spolia::protocol
