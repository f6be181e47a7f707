#include "server/service/model_registry.h"

#include <algorithm>
#include <sstream>

#include "client/protocol/limits.h"
#include "server/service/small_file.h"

namespace spolia::service {
namespace {

constexpr size_t kMaxFileBytes = 16u << 20;
constexpr size_t kMaxModelsPerTenant = 1024;
constexpr std::string_view kTitle = "spolia models 1";

bool isPlain(std::string_view text, size_t longest, std::string_view also) {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  also.find(c) != std::string_view::npos;
         });
}

std::string differences(const codec::ModelDescriptor& a, const codec::ModelDescriptor& b) {
  std::string out;
  const auto compare = [&](const char* field, bool equal) {
    if (!equal) out += (out.empty() ? "" : ", ") + std::string(field);
  };
  compare("weights", a.weights == b.weights);
  compare("adapter", a.adapter == b.adapter);
  compare("config", a.config == b.config);
  compare("tokenizer", a.tokenizer == b.tokenizer);
  compare("rope", a.rope == b.rope);
  compare("numerics", a.numerics == b.numerics);
  return out;
}

bool readDigest(std::istream& in, Sha256Digest& digest) {
  std::string hex;
  if (!(in >> hex)) return false;
  auto bytes = digestFromHex(hex);
  if (!bytes.ok()) return false;
  digest.bytes = *bytes;
  return true;
}

}  // namespace

Result<ModelRegistry> ModelRegistry::load(const std::filesystem::path& path) {
  ModelRegistry registry(path);
  if (!std::filesystem::exists(path)) return registry;
  SPOLIA_ASSIGN_OR_RETURN(const std::string text, readSmallFile(path, kMaxFileBytes));
  std::istringstream lines(text);
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    const auto wrong = [&](const char* expected) {
      return Status(ErrorCode::kInvalidArgument,
                    path.string() + ":" + std::to_string(number) + ": expected " + expected);
    };
    if (number == 1) {
      if (line != kTitle) return wrong("the line \"spolia models 1\"");
      continue;
    }
    std::istringstream fields(line);
    Name name;
    codec::ModelDescriptor model;
    const bool whole = fields >> name.first >> name.second && readDigest(fields, model.weights) &&
                       readDigest(fields, model.adapter) && readDigest(fields, model.config) &&
                       readDigest(fields, model.tokenizer) && readDigest(fields, model.rope) &&
                       fields >> model.numerics;
    if (!whole) return wrong("tenant, name, five digests, numerics");
    registry.models_[name] = model;
  }
  return registry;
}

Status ModelRegistry::save() const {
  std::string text(kTitle);
  text += '\n';
  for (const auto& [name, model] : models_) {
    text += name.first + ' ' + name.second + ' ' + model.weights.hex() + ' ' + model.adapter.hex() +
            ' ' + model.config.hex() + ' ' + model.tokenizer.hex() + ' ' + model.rope.hex() + ' ' +
            model.numerics + '\n';
  }
  return replaceSmallFile(path_, text);
}

Result<ModelFingerprint> ModelRegistry::agree(std::string_view tenant, std::string_view name,
                                              const codec::ModelDescriptor& descriptor,
                                              IfNew ifNew) {
  if (!isPlain(name, protocol::kMaxModelName, "._-/@:")) {
    return Status(ErrorCode::kInvalidArgument,
                  "model.name: expected 1 to 128 of A-Z a-z 0-9 . _ - / @ :");
  }
  if (!isPlain(descriptor.numerics, protocol::kMaxNumericsBytes, "_-.")) {
    return Status(ErrorCode::kInvalidArgument, "model.numerics: expected f32, f16 or int8");
  }
  const Name key{std::string(tenant), std::string(name)};
  if (const auto known = models_.find(key); known != models_.end()) {
    const std::string differing = differences(known->second, descriptor);
    if (differing.empty()) return codec::fingerprintOf(descriptor);
    return Status(ErrorCode::kInvalidArgument, "model \"" + key.second +
                                                   "\" is registered with another " + differing +
                                                   "; use another name for a changed model");
  }
  if (ifNew == IfNew::kRefuse) {
    return Status(ErrorCode::kPermissionDenied,
                  "model \"" + key.second + "\" is not registered; that needs the right write");
  }
  const auto ofTenant = std::count_if(models_.begin(), models_.end(),
                                      [&](const auto& m) { return m.first.first == tenant; });
  if (static_cast<size_t>(ofTenant) >= kMaxModelsPerTenant) {
    return Status(ErrorCode::kResourceExhausted, "tenant \"" + key.first + "\" has 1024 models");
  }
  models_[key] = descriptor;
  if (Status saved = save(); !saved.ok()) {
    models_.erase(key);
    return saved;
  }
  return codec::fingerprintOf(descriptor);
}

}  // namespace spolia::service
