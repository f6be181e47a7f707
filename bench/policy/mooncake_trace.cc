#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "bench/policy/trace.h"

namespace spolia::bench {
namespace {

constexpr uint64_t kBlockTokens = 512;

using Numbers = std::unordered_map<uint64_t, Block>;

// A session is a conversation: its second block, the first being the same for all.
Result<Request> parse(const std::string& text, Numbers& known) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("timestamp") || !json.contains("input_length") ||
      !json.contains("hash_ids")) {
    return Status(ErrorCode::kInvalidArgument,
                  "expected an object with timestamp, input_length and hash_ids");
  }
  const auto &time = json["timestamp"], &length = json["input_length"], &ids = json["hash_ids"];
  if (!time.is_number_unsigned() || !length.is_number_unsigned() || !ids.is_array()) {
    return Status(ErrorCode::kInvalidArgument, "timestamp, input_length or hash_ids: wrong type");
  }
  Request request{.timeMs = time, .chained = true, .blocks = {}};
  uint64_t left = length;
  for (const auto& id : ids) {
    if (!id.is_number_unsigned() || left == 0) {
      return Status(ErrorCode::kInvalidArgument,
                    "hash_ids: not numbers, or more than input_length");
    }
    const uint64_t tokens = std::min(left, kBlockTokens);
    left -= tokens;
    const Block fresh{static_cast<uint32_t>(known.size()), static_cast<uint32_t>(tokens)};
    request.blocks.push_back(known.try_emplace(id.get<uint64_t>(), fresh).first->second);
  }
  if (!request.blocks.empty()) {
    request.session = request.blocks[std::min<size_t>(1, request.blocks.size() - 1)].id;
  }
  return request;
}

}  // namespace

Result<Trace> readMooncake(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Status(ErrorCode::kNotFound, "cannot open trace " + path);
  Trace trace{.name = "mooncake", .requests = {}};
  Numbers known;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    auto request = parse(line, known);
    if (!request) return request.status().withContext(path + " line " + std::to_string(number));
    trace.requests.push_back(std::move(*request));
  }
  trace.blocks = static_cast<uint32_t>(known.size());
  return trace;
}

}  // namespace spolia::bench
