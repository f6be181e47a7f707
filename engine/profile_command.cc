#include "engine/profile_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "codec/codec.h"
#include "engine/engine_parts.h"
#include "engine/exit_codes.h"
#include "engine/gguf/model_loading.h"
#include "engine/profile/profile_builder.h"

namespace spolia::engine {
namespace {

// A profile takes at most this part of the model's weights in fp16.
constexpr uint64_t kProfileShare = 10;

uint64_t halfWeightBytes(const ModelConfig& config) {
  const uint64_t attention =
      2 * uint64_t{config.hiddenSize} * (config.queryChannels() + config.kvChannels());
  const uint64_t layer = attention + 3 * uint64_t{config.hiddenSize} * config.ffnSize;
  const uint64_t embedding = uint64_t{config.vocabSize} * config.hiddenSize;
  return 2 * (config.layers * layer + (config.tiedHead ? 1 : 2) * embedding);
}

// Whole or not at all: an old file stays until the new one is complete.
Status writeFile(const std::filesystem::path& path, ByteSpan bytes) {
  const std::filesystem::path partial = path.string() + ".new";
  std::ofstream file(partial, std::ios::binary);
  const std::string_view text = asText(bytes);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(partial, path, error);
  if (!file || error) {
    return Status(ErrorCode::kIoError, path.string() + ": cannot be written");
  }
  return Status();
}

nlohmann::ordered_json summaryOf(const codec::ProfileData& data, const Bytes& bytes,
                                 const std::string& id) {
  nlohmann::ordered_json out = {
      {"profile", id}, {"bytes", bytes.size()}, {"code_rank", data.codeRank}};
  for (const codec::ProfileTransform& transform : data.transforms) {
    size_t components = 0;
    for (const codec::ProfileBlock& block : transform.blocks) {
      components += block.componentCount();
    }
    out["presets"][std::string(codec::presetName(static_cast<codec::Preset>(transform.preset)))] = {
        {"step", transform.step}, {"blocks", transform.blocks.size()}, {"components", components}};
  }
  return out;
}

Status makeProfile(const EngineConfig& config, const ProfileRequest& request) {
  if (config.model.empty()) {
    return Status(ErrorCode::kInvalidArgument, "no model: expected --model PATH");
  }
  const Result<codec::Preset> preset = codec::presetFromName(request.preset);
  if (!preset.ok()) return preset.status().withContext("--preset");
  SPOLIA_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                          loadModel(config.model, {.numerics = config.numerics}));
  const uint32_t rows = request.cached + request.continued + 1;
  if (request.cached == 0 || request.continued == 0 || rows > model->config().maxPositions) {
    return Status(ErrorCode::kInvalidArgument,
                  fmt::format("--cached and --continued: expected 1 or more each, and at most {} "
                              "together",
                              model->config().maxPositions - 1));
  }
  ThreadPool pool(config.threads == 0 ? usableCores() : config.threads);
  const Transformer transformer(*model, pool);
  PassageOptions cutting;
  cutting.cached = request.cached;
  cutting.continued = request.continued;
  cutting.most = request.passages;
  SPOLIA_ASSIGN_OR_RETURN(std::vector<Passage> passages,
                          readPassages(request.text, model->tokenizer(), cutting));
  ProfileOptions options;
  options.preset = *preset;
  options.judged = request.judged;
  options.mostKl = request.mostKl;
  options.mostBytes =
      request.mostBytes > 0 ? request.mostBytes : halfWeightBytes(model->config()) / kProfileShare;
  const auto report = [](const std::string& what) { fmt::print(stderr, "{}\n", what); };
  SPOLIA_ASSIGN_OR_RETURN(
      const codec::ProfileData data,
      buildProfile(*model, transformer, pool, std::move(passages), options, report));
  const Bytes bytes = codec::writeProfile(data);
  SPOLIA_ASSIGN_OR_RETURN(const auto profile, codec::Profile::parse(bytes));
  SPOLIA_RETURN_IF_ERROR(writeFile(request.out, bytes));
  const nlohmann::ordered_json summary = summaryOf(data, bytes, profile->id().hex());
  if (request.json) {
    fmt::print("{}\n", summary.dump());
  } else {
    fmt::print("{}: profile {}, {}\n", request.out, profile->id().hex(), bytesText(bytes.size()));
  }
  return Status();
}

}  // namespace

int runProfile(const EngineConfig& config, const ProfileRequest& request) {
  const Status status = makeProfile(config, request);
  if (status.ok()) return kExitOk;
  fmt::print(stderr, "spolia-engine: {}\n", status.message());
  return exitCodeOf(status.code());
}

}  // namespace spolia::engine
