// Small files that the service keeps beside the store. Any thread; one writer at a time per file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "codec/base/result.h"

namespace spolia::service {

// The whole file; kInvalidArgument naming it when it cannot be opened or is larger than `limit`,
// kIoError when reading fails.
Result<std::string> readSmallFile(const std::filesystem::path& path, size_t limit);

// Writes beside, syncs and renames: after a crash the old or the new content, mode 0600. kIoError
// naming the file.
Status replaceSmallFile(const std::filesystem::path& path, std::string_view content);

}  // namespace spolia::service
