// Reading profiles from files. Any thread.
#pragma once

#include <filesystem>
#include <memory>

#include "codec/base/result.h"
#include "codec/lossy/profile.h"

namespace spolia::engine {

// kNotFound when there is no such file; kCorrupt or kUnsupported as Profile::parse(). Errors name
// the file.
Result<std::shared_ptr<const codec::Profile>> readProfile(const std::filesystem::path& path);

}  // namespace spolia::engine
