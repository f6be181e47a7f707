#include "engine/profile/profile_file.h"

#include <fstream>
#include <iterator>
#include <string>

namespace spolia::engine {

Result<std::shared_ptr<const codec::Profile>> readProfile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status(ErrorCode::kNotFound, path.string() + ": cannot be opened");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return Status(ErrorCode::kIoError, path.string() + ": cannot be read");
  Result<std::shared_ptr<const codec::Profile>> profile = codec::Profile::parse(asBytes(bytes));
  if (!profile.ok()) return profile.status().withContext(path.string());
  return profile;
}

}  // namespace spolia::engine
