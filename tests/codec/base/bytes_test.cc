#include "codec/base/bytes.h"

#include <gtest/gtest.h>

#include "codec/base/aligned_buffer.h"
#include "codec/base/result.h"

namespace spolia {
namespace {

TEST(Bytes, WritesLittleEndianAndReadsBack) {
  ByteWriter out;
  out.u8(1);
  out.u16(0x0302);
  out.u32(0x07060504);
  out.u64(0x0f0e0d0c0b0a0908);
  for (size_t i = 0; i < 15; ++i) EXPECT_EQ(std::to_integer<size_t>(out.view()[i]), i + 1);
  ByteReader in(out.view());
  EXPECT_EQ(in.u8(), 1);
  EXPECT_EQ(in.u16(), 0x0302);
  EXPECT_EQ(in.u32(), 0x07060504u);
  EXPECT_FALSE(in.finished());
  EXPECT_EQ(in.u64(), 0x0f0e0d0c0b0a0908u);
  EXPECT_TRUE(in.finished());
}

TEST(Bytes, ReadingPastTheEndStaysFailed) {
  const Bytes data(3);
  ByteReader in(data);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);
  EXPECT_TRUE(in.bytes(1).empty());
  EXPECT_FALSE(in.ok());
}

TEST(AlignedBuffer, IsAlignedAndKeepsItsBytes) {
  AlignedBuffer buffer = AlignedBuffer::copyOf(asBytes("hello"));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment, 0u);
  EXPECT_EQ(buffer.capacity(), AlignedBuffer::kAlignment);
  buffer.resizeWithin(2);
  EXPECT_EQ(asText(buffer.span()), "he");
  EXPECT_TRUE(AlignedBuffer().empty());
}

TEST(Result, CarriesValueOrFailure) {
  const Result<int> good = 3;
  EXPECT_EQ(*good, 3);
  EXPECT_TRUE(good.status().ok());
  const Result<int> bad(ErrorCode::kNotFound, "no chunk");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().withContext("lookup").toString(), "not_found: lookup: no chunk");
}

}  // namespace
}  // namespace spolia
