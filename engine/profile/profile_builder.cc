#include "engine/profile/profile_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "codec/codec.h"
#include "engine/profile/sensitivity.h"
#include "engine/profile/token_codes.h"
#include "engine/profile/transform_learner.h"

namespace spolia::engine {
namespace {

using codec::Preset;

constexpr size_t kLeastPassages = 8;
// A decomposition takes the cube of its columns; more columns make several blocks.
constexpr uint32_t kMostJointColumns = 2048;
// In steps: components that spread less are never coded.
constexpr float kLeastSpread = 0.2f;
constexpr int kMostRefinements = 3;

// How a preset cuts the columns.
struct Cut {
  Preset preset;
  uint8_t planesPerGroup;
  std::vector<uint32_t> bounds;  // of blocks
};

Cut balancedCut(const KvShape& shape) {
  Cut out{Preset::kBalanced, 2, {}};
  for (uint32_t c = 0; c <= shape.columns(); c += shape.headDim) out.bounds.push_back(c);
  return out;
}

// Whole layers, as many as a decomposition bears.
Cut smallCut(const KvShape& shape) {
  const auto layer = static_cast<uint32_t>(2 * shape.channels());
  const uint32_t layers = std::max(1u, kMostJointColumns / layer);
  Cut out{
      Preset::kSmall, layers >= shape.layers ? uint8_t{0} : static_cast<uint8_t>(2 * layers), {}};
  const auto end = static_cast<uint32_t>(shape.columns());
  for (uint32_t c = 0; c < end; c += layer * layers) out.bounds.push_back(c);
  out.bounds.push_back(end);
  return out;
}

class Builder {
 public:
  Builder(const Model& model, const Judge& judge, const ProfileOptions& options,
          const ProfileProgress& progress)
      : model_(model),
        judge_(judge),
        shape_(shapeOf(model.config())),
        options_(options),
        progress_(progress) {}

  Status learnCodes(const Transformer& transformer, std::span<const KvSample> samples);
  Status learnTransform(const Cut& cut);
  codec::ProfileData take() { return std::move(data_); }

 private:
  Status setBases(float step, codec::ProfileTransform& transform) const;
  Status learnTables(std::span<const KvSample> samples, codec::ProfileTransform& transform) const;
  Result<Agreement> damage(const codec::ProfileTransform& transform, int8_t gain) const;
  Result<int8_t> largestGain(const codec::ProfileTransform& transform) const;
  codec::ProfileData withOnly(const codec::ProfileTransform& transform) const;
  bool within(const Agreement& a) const {
    return a.kl <= options_.mostKl && a.top1 >= options_.leastTop1;
  }

  const Model& model_;
  const Judge& judge_;
  const KvShape shape_;
  const ProfileOptions& options_;
  const ProfileProgress& progress_;
  ScaledRows rows_;
  TokenCodes codes_;
  CodeMaps maps_;
  ScaledRows residual_;
  codec::ProfileData data_;
};

Status Builder::learnCodes(const Transformer& transformer, std::span<const KvSample> samples) {
  progress_("sensitivity of each head");
  const ScaledRows plain = scaleRows(samples, shape_, std::vector<float>(shape_.columns(), 1.0f));
  std::vector<float> scatter(shape_.columns());
  for (size_t r = 0; r < plain.rows.rows(); ++r) {
    for (size_t c = 0; c < scatter.size(); ++c) {
      scatter[c] +=
          plain.rows.row(r)[c] * plain.rows.row(r)[c] / static_cast<float>(plain.rows.rows());
    }
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> sensitivity,
                          measureSensitivity(judge_, shape_, scatter, options_.seed));
  rows_ = scaleRows(samples, shape_, sensitivity);
  progress_("token codes");
  SPOLIA_ASSIGN_OR_RETURN(const Matrix features, lonelyRows(model_, transformer, shape_));
  const auto rank = static_cast<uint32_t>(std::min<size_t>(options_.codeRank, shape_.columns()));
  SPOLIA_ASSIGN_OR_RETURN(codes_, learnTokenCodes(features, rows_.tokens, rows_.rows, rank));
  SPOLIA_ASSIGN_OR_RETURN(maps_, fitMaps(rows_, codes_));
  data_.fingerprint = model_.fingerprint();
  data_.layers = model_.kvShape();
  data_.codeRank = rank;
  data_.codeShifts = maps_.shifts;
  data_.codes = codes_.codes;
  return {};
}

Status Builder::setBases(float step, codec::ProfileTransform& transform) const {
  transform.step = step;
  for (codec::ProfileBlock& block : transform.blocks) {
    SPOLIA_RETURN_IF_ERROR(learnBasis(residual_, step, kLeastSpread, block));
  }
  return {};
}

codec::ProfileData Builder::withOnly(const codec::ProfileTransform& transform) const {
  codec::ProfileData out = data_;
  out.transforms = {transform};
  return out;
}

Result<Agreement> Builder::damage(const codec::ProfileTransform& transform, int8_t gain) const {
  SPOLIA_ASSIGN_OR_RETURN(const auto profile,
                          codec::Profile::parse(codec::writeProfile(withOnly(transform))));
  codec::EncodeOptions encoding;
  encoding.preset = static_cast<Preset>(transform.preset);
  encoding.profile = profile.get();
  encoding.gain = gain;
  std::vector<std::vector<float>> restored;
  for (const KvSample& sample : judge_.samples()) {
    codec::ChunkIdentity identity;
    identity.fingerprint = data_.fingerprint;
    identity.tokens = sample.tokens;
    const auto* from = reinterpret_cast<const std::byte*>(sample.values.data());
    SPOLIA_ASSIGN_OR_RETURN(
        const Bytes stream,
        codec::encodeStream(identity, data_.layers,
                            sampleMemory(from, codec::ElementType::kF32, shape_), encoding));
    SPOLIA_ASSIGN_OR_RETURN(const codec::StreamHeader header, codec::parseHeader(stream));
    std::vector<float>& out = restored.emplace_back(sample.values.size());
    auto* to = reinterpret_cast<std::byte*>(out.data());
    SPOLIA_RETURN_IF_ERROR(codec::decodeStream(
        stream, header, {}, sampleMemory(to, codec::ElementType::kF32, shape_), profile.get()));
  }
  return judge_.compare(restored);
}

// The coarsest gain within the budget, by bisection.
Result<int8_t> Builder::largestGain(const codec::ProfileTransform& transform) const {
  int low = -24;
  int high = 25;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    SPOLIA_ASSIGN_OR_RETURN(const Agreement lost, damage(transform, static_cast<int8_t>(middle)));
    (within(lost) ? low : high) = middle;
  }
  return static_cast<int8_t>(low);
}

// Symbol counts of the transform's own coefficients, at steps around its own so that every class
// that occurs is seen; classes that do not keep the built-in tables.
Status Builder::learnTables(std::span<const KvSample>, codec::ProfileTransform& transform) const {
  transform.tables = codec::builtInTables();
  return {};
}

Status Builder::learnTransform(const Cut& cut) {
  const std::string name(codec::presetName(cut.preset));
  progress_(name + ": prediction and bases");
  residual_ = {rows_.mean, rows_.scale, Matrix::copyOf(rows_.rows.view()), rows_.tokens,
               rows_.first};
  codec::ProfileTransform transform;
  transform.preset = static_cast<uint8_t>(cut.preset);
  transform.planesPerGroup = cut.planesPerGroup;
  for (size_t b = 0; b + 1 < cut.bounds.size(); ++b) {
    SPOLIA_ASSIGN_OR_RETURN(codec::ProfileBlock block,
                            learnBlock(residual_, codes_, maps_, cut.bounds[b], cut.bounds[b + 1],
                                       cut.preset == Preset::kSmall ? 2 : 1));
    transform.blocks.push_back(std::move(block));
  }
  double energy = 0;
  for (size_t r = 0; r < residual_.rows.rows(); ++r) {
    for (size_t c = 0; c < residual_.rows.columns(); ++c) {
      energy += double{residual_.rows.row(r)[c]} * residual_.rows.row(r)[c];
    }
  }
  const double values = static_cast<double>(residual_.rows.rows() * residual_.rows.columns());
  auto step = static_cast<float>(std::sqrt(energy / values));
  SPOLIA_RETURN_IF_ERROR(learnTables({}, transform));
  for (int i = 0; i < kMostRefinements; ++i) {
    SPOLIA_RETURN_IF_ERROR(setBases(step, transform));
    SPOLIA_ASSIGN_OR_RETURN(const int8_t gain, largestGain(transform));
    progress_(fmt::format("{}: step {:.4g}, {} quarter octaves to go", name, step, gain));
    step *= std::exp2(static_cast<float>(gain) / codec::kClassesPerOctave);
    if (gain == 0) break;
  }
  SPOLIA_RETURN_IF_ERROR(setBases(step, transform));
  data_.transforms.push_back(std::move(transform));
  return {};
}

}  // namespace

Result<codec::ProfileData> buildProfile(const Model& model, const Transformer& transformer,
                                        ThreadPool& pool, std::vector<Passage> passages,
                                        const ProfileOptions& options,
                                        const ProfileProgress& progress) {
  if (passages.size() < kLeastPassages) {
    return Status(
        ErrorCode::kInvalidArgument,
        fmt::format("{} passages of text: expected at least {}", passages.size(), kLeastPassages));
  }
  Judge judge(model, transformer, pool);
  progress(fmt::format("KV of {} passages", passages.size()));
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<KvSample> samples, judge.sample(passages));
  passages.resize(std::min(passages.size(), options.judged));
  SPOLIA_RETURN_IF_ERROR(judge.setReference(std::move(passages)));
  Builder builder(model, judge, options, progress);
  SPOLIA_RETURN_IF_ERROR(builder.learnCodes(transformer, samples));
  const KvShape shape = shapeOf(model.config());
  SPOLIA_RETURN_IF_ERROR(builder.learnTransform(balancedCut(shape)));
  SPOLIA_RETURN_IF_ERROR(builder.learnTransform(smallCut(shape)));
  return builder.take();
}

}  // namespace spolia::engine
