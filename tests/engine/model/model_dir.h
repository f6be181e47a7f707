// A scratch copy of a small model directory that a test may damage. Removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace spolia::engine {

inline std::filesystem::path goldenDir(const std::string& name) {
  return std::filesystem::path(SPOLIA_SOURCE_DIR) / "tests/golden/engine" / name;
}

inline std::string readAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

class ModelDir {
 public:
  // Empty, or a copy of a directory of tests/golden/engine.
  explicit ModelDir(const std::string& golden = "") {
    std::string name = (std::filesystem::temp_directory_path() / "spolia-model-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    if (golden.empty()) return;
    for (const auto& file : std::filesystem::directory_iterator(goldenDir(golden))) {
      std::filesystem::copy_file(file.path(), path_ / file.path().filename());
    }
  }
  ~ModelDir() { std::filesystem::remove_all(path_); }
  ModelDir(const ModelDir&) = delete;
  ModelDir& operator=(const ModelDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  std::string read(const std::string& name) const { return readAll(path_ / name); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::trunc) << bytes;
  }
  void editJson(const std::string& name, const std::function<void(nlohmann::json&)>& edit) const {
    nlohmann::json document = nlohmann::json::parse(read(name));
    edit(document);
    write(name, document.dump());
  }
  // Changes the JSON header of a safetensors file; the data stay.
  void editHeader(const std::string& name, const std::function<void(nlohmann::json&)>& edit) const {
    const std::string bytes = read(name);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
    edit(header);
    const std::string text = header.dump();
    const uint64_t size = text.size();
    std::string out(reinterpret_cast<const char*>(&size), sizeof size);
    write(name, out + text + bytes.substr(8 + length));
  }

 private:
  std::filesystem::path path_;
};

// A failed status whose message has all the parts, or a test failure.
template <typename ResultType>
void expectError(const ResultType& result, const std::vector<std::string>& parts) {
  ASSERT_FALSE(result.ok());
  for (const std::string& part : parts) {
    EXPECT_NE(result.status().message().find(part), std::string::npos)
        << "\"" << part << "\" is not in: " << result.status().toString();
  }
}

}  // namespace spolia::engine
