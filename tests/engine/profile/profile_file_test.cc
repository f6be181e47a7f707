#include "engine/profile/profile_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/codec/lossy/made_up_profile.h"
#include "tests/support/temporary_directory.h"

namespace spolia::engine {
namespace {

TEST(ProfileFile, ReadsWhatWasWrittenAndNamesTheFileInErrors) {
  const spolia::test::TemporaryDirectory folder;
  const auto path = folder.path() / "a.profile";
  EXPECT_EQ(readProfile(path).status().code(), ErrorCode::kNotFound);
  const Bytes bytes = codec::writeProfile(codec::madeUpProfileData({}));
  const auto write = [&](size_t count) {
    std::ofstream(path, std::ios::binary) << asText(ByteSpan(bytes).first(count));
  };
  write(bytes.size());
  EXPECT_EQ(readProfile(path).value()->data(), codec::madeUpProfileData({}));
  write(bytes.size() - 1);
  const Status cut = readProfile(path).status();
  EXPECT_EQ(cut.code(), ErrorCode::kCorrupt);
  EXPECT_NE(cut.message().find(path.string()), std::string::npos) << cut.message();
}

}  // namespace
}  // namespace spolia::engine
