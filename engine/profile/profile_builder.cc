#include "engine/profile/profile_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "codec/codec.h"
#include "codec/lossy/lossy_frame.h"
#include "engine/profile/sensitivity.h"
#include "engine/profile/token_codes.h"
#include "engine/profile/transform_learner.h"

namespace spolia::engine {
namespace {

using codec::Preset;

constexpr size_t kLeastPassages = 8;
// A decomposition takes the cube of its columns; more columns make several blocks.
constexpr uint32_t kMostJointColumns = 2048;
// Channels of a block of `balanced`: a product of so many factors a value is what it can afford.
constexpr uint32_t kMostBalancedChannels = 128;
constexpr uint32_t kMostBalancedCodes = 96;
// In steps: components that spread less are hardly ever coded.
constexpr float kLeastSpread = 0.25f;
// Of a code: what is told with 8 bits; and how much of the token before counts.
constexpr uint32_t kWideCodes = 8;
constexpr uint32_t kCodesBefore = 32;
// Tables of all classes take about so many.
constexpr uint64_t kTableBytes = 24 << 10;
constexpr size_t kMetricPassages = 24;
constexpr int kMostRefinements = 3;
constexpr int8_t kFinestGain = -12;
constexpr int8_t kCoarsestGain = 25;
constexpr double kBearableGrowth = 1.5;
constexpr double kBearableChanges = 0.004;
// What symbol counts are added to: so many symbols as the built-in tables have them.
constexpr uint32_t kPriorSymbols = 128;

// How a preset cuts the columns.
struct Cut {
  uint8_t planesPerGroup = 0;
  std::vector<uint32_t> bounds;  // of blocks
};

// Where what is stored begins: a reader has the model, and computes the first layer from the
// tokens.
uint32_t firstColumn(const KvShape& shape) {
  return shape.layers > 1 ? static_cast<uint32_t>(2 * shape.channels()) : 0;
}

// Heads of one plane, as many as a block may have.
Cut balancedCut(const KvShape& shape) {
  Cut out{2, {firstColumn(shape)}};
  const auto plane = static_cast<uint32_t>(shape.channels());
  const uint32_t heads = std::clamp(kMostBalancedChannels / shape.headDim, 1u, shape.kvHeads);
  for (uint32_t begin = firstColumn(shape); begin < shape.columns(); begin += plane) {
    for (uint32_t head = heads; head < shape.kvHeads; head += heads) {
      out.bounds.push_back(begin + head * shape.headDim);
    }
    out.bounds.push_back(begin + plane);
  }
  return out;
}

// Whole layers, as many as a decomposition bears.
Cut smallCut(const KvShape& shape) {
  const auto layer = static_cast<uint32_t>(2 * shape.channels());
  const auto end = static_cast<uint32_t>(shape.columns());
  const uint32_t layers = std::max(1u, kMostJointColumns / layer);
  Cut out{0, {}};
  const uint32_t first = firstColumn(shape);
  if (first + layers * layer < end) out.planesPerGroup = static_cast<uint8_t>(2 * layers);
  for (uint32_t c = first; c < end; c += layer * layers) out.bounds.push_back(c);
  out.bounds.push_back(end);
  return out;
}

void keepFirst(uint32_t components, codec::ProfileBlock& block) {
  block.shifts.resize(components);
  block.classes.resize(components / codec::kPackComponents);
  block.components.resize(size_t{components} * block.channels());
}

class Builder {
 public:
  Builder(const Model& model, const Judge& judge, const ProfileOptions& options,
          const ProfileProgress& progress)
      : model_(model),
        judge_(judge),
        shape_(shapeOf(model.config())),
        options_(options),
        progress_(progress),
        cut_(options.preset == Preset::kSmall ? smallCut(shape_) : balancedCut(shape_)) {}

  Status learnMetrics(const Transformer& transformer, std::span<const Passage> passages,
                      ThreadPool& pool);
  Status learnCodes(const Transformer& transformer, std::span<const KvSample> samples);
  Status learnTransform();
  codec::ProfileData take() { return std::move(data_); }

 private:
  size_t storedColumns() const { return shape_.columns() - cut_.bounds.front(); }
  uint64_t codeBytes(uint32_t rank) const;
  uint32_t affordableRank() const;
  Status setBases(float step, codec::ProfileTransform& transform) const;
  void fit(codec::ProfileTransform& transform) const;
  Status learnTables(codec::ProfileTransform& transform) const;
  Result<std::shared_ptr<const codec::Profile>> profileOf(
      const codec::ProfileTransform& transform) const;
  Result<Agreement> damage(const codec::ProfileTransform& transform, int8_t gain) const;
  Result<int8_t> largestGain(const codec::ProfileTransform& transform) const;
  float rootMeanSquare() const;

  const Model& model_;
  const Judge& judge_;
  const KvShape shape_;
  const ProfileOptions& options_;
  const ProfileProgress& progress_;
  const Cut cut_;
  std::vector<MetricRoot> keyRoots_;  // [layer * kvHeads + head]
  HeadMetrics metrics_;
  TokenCodes codes_;
  CodeMaps maps_;
  ScaledRows rows_;  // residuals once the maps are learnt
  codec::ProfileData data_;
};

Status Builder::learnMetrics(const Transformer& transformer, std::span<const Passage> passages,
                             ThreadPool& pool) {
  progress_("directions that matter in each key");
  SPOLIA_ASSIGN_OR_RETURN(
      const std::vector<Matrix> metrics,
      measureKeyMetrics(model_, transformer,
                        passages.first(std::min(passages.size(), kMetricPassages)), pool));
  for (const Matrix& metric : metrics) {
    SPOLIA_ASSIGN_OR_RETURN(MetricRoot root, rootOf(metric));
    keyRoots_.push_back(std::move(root));
  }
  metrics_.headDim = shape_.headDim;
  metrics_.roots.assign(shape_.columns() / shape_.headDim, nullptr);
  for (uint32_t i = 0; i < keyRoots_.size(); ++i) {
    const uint32_t layer = i / shape_.kvHeads;
    metrics_.roots[size_t{layer} * 2 * shape_.kvHeads + i % shape_.kvHeads] = &keyRoots_[i];
  }
  return {};
}

// Of the codes and their maps, whose rows are coded in about three quarters of their numbers.
uint64_t Builder::codeBytes(uint32_t rank) const {
  const uint32_t wide = std::min(rank, kWideCodes);
  const uint64_t token = wide + (rank - wide + 1) / 2;
  return token * model_.config().vocabSize +
         (rank + std::min(rank, kCodesBefore)) * storedColumns() * 3 / 4;
}

// In steps of eight: what bases, tables and scales leave, and never less than two fifths.
uint32_t Builder::affordableRank() const {
  uint64_t others = kTableBytes;
  for (size_t b = 0; b + 1 < cut_.bounds.size(); ++b) {
    const uint64_t channels = cut_.bounds[b + 1] - cut_.bounds[b];
    others +=
        channels * std::min<uint64_t>(channels, codec::kMaxBlockComponents) / 2 + 6 * channels;
  }
  const uint64_t share = std::max(options_.mostBytes - std::min(options_.mostBytes, others),
                                  options_.mostBytes / 5 * 2);
  const uint32_t most =
      options_.preset == Preset::kBalanced ? kMostBalancedCodes : codec::kMaxCodeRank;
  uint32_t rank = std::min({options_.mostCodes, most, static_cast<uint32_t>(shape_.columns())});
  while (rank > 0 && codeBytes(rank) > share) rank -= std::min(rank, 8u);
  return rank;
}

Status Builder::learnCodes(const Transformer& transformer, std::span<const KvSample> samples) {
  progress_("sensitivity of each head");
  std::vector<double> sum(shape_.columns());
  std::vector<double> square(shape_.columns());
  double tokens = 0;
  for (const KvSample& sample : samples) {
    tokens += static_cast<double>(sample.tokens.size());
    for (size_t i = 0; i < sample.values.size(); ++i) {
      const double v = sample.values[i];
      sum[i % sum.size()] += v;
      square[i % sum.size()] += v * v;
    }
  }
  std::vector<float> scatter;
  for (size_t c = 0; c < sum.size(); ++c) {
    scatter.push_back(static_cast<float>(square[c] / tokens - sum[c] / tokens * sum[c] / tokens));
  }
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<float> sensitivity,
                          measureSensitivity(judge_, shape_, scatter, options_.seed));
  rows_ = scaleRows(samples, shape_, sensitivity);
  // Nothing is to be predicted of what is not stored.
  for (size_t r = 0; r < rows_.rows.rows(); ++r) {
    std::fill_n(rows_.rows.row(r), cut_.bounds.front(), 0.0f);
  }
  const uint32_t rank = affordableRank();
  progress_(fmt::format("token codes, {} numbers each", rank));
  SPOLIA_ASSIGN_OR_RETURN(const Matrix features, lonelyRows(model_, transformer, shape_));
  SPOLIA_ASSIGN_OR_RETURN(codes_, learnTokenCodes(features, rows_.tokens, rows_.rows, rank,
                                                  std::min(rank, kWideCodes)));
  SPOLIA_ASSIGN_OR_RETURN(maps_, fitMaps(rows_, codes_, {rank, std::min(rank, kCodesBefore)}));
  data_.fingerprint = model_.fingerprint();
  data_.layers = model_.kvShape();
  data_.codeRank = rank;
  data_.wideCodes = codes_.wide;
  data_.codeShifts = maps_.shifts;
  data_.codes = codes_.codes;
  return {};
}

Status Builder::setBases(float step, codec::ProfileTransform& transform) const {
  transform.step = step;
  for (codec::ProfileBlock& block : transform.blocks) {
    SPOLIA_RETURN_IF_ERROR(learnBasis(rows_, metrics_, step, kLeastSpread, block));
  }
  fit(transform);
  return {};
}

// Leaves out the components that spread least until the profile has the size it may have.
void Builder::fit(codec::ProfileTransform& transform) const {
  codec::ProfileData data = data_;
  for (bool more = true; more;) {
    data.transforms = {transform};
    const uint64_t bytes = codec::writeProfile(data).size();
    if (bytes <= options_.mostBytes) return;
    const uint64_t excess = (bytes - options_.mostBytes) / transform.blocks.size();
    more = false;
    for (codec::ProfileBlock& block : transform.blocks) {
      // The last rows take about half a byte a number.
      const uint64_t packs = 1 + excess * 2 / block.channels() / codec::kPackComponents;
      const uint32_t count = block.componentCount();
      const uint64_t dropped = std::min<uint64_t>(count, packs * codec::kPackComponents);
      keepFirst(static_cast<uint32_t>(count - dropped), block);
      more |= dropped > 0;
    }
  }
}

Result<std::shared_ptr<const codec::Profile>> Builder::profileOf(
    const codec::ProfileTransform& transform) const {
  codec::ProfileData data = data_;
  data.transforms = {transform};
  return codec::Profile::parse(codec::writeProfile(data));
}

Result<Agreement> Builder::damage(const codec::ProfileTransform& transform, int8_t gain) const {
  SPOLIA_ASSIGN_OR_RETURN(const auto profile, profileOf(transform));
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
    // The reader's own first layer is that of the sample.
    std::vector<float>& out = restored.emplace_back(sample.values);
    auto* to = reinterpret_cast<std::byte*>(out.data());
    SPOLIA_RETURN_IF_ERROR(codec::decodeStream(
        stream, header, {}, sampleMemory(to, codec::ElementType::kF32, shape_), profile.get()));
  }
  return judge_.compare(restored);
}

// The coarsest gain within the budget, by bisection. Where not even fine steps are (components were
// left out for the profile's size), the coarsest that adds little to what is lost anyway.
Result<int8_t> Builder::largestGain(const codec::ProfileTransform& transform) const {
  SPOLIA_ASSIGN_OR_RETURN(const Agreement floor, damage(transform, kFinestGain));
  const Agreement most{std::max(options_.mostKl, kBearableGrowth * floor.kl),
                       std::min(options_.leastTop1, floor.top1 - kBearableChanges)};
  int low = kFinestGain;
  int high = kCoarsestGain;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    SPOLIA_ASSIGN_OR_RETURN(const Agreement lost, damage(transform, static_cast<int8_t>(middle)));
    (lost.kl <= most.kl && lost.top1 >= most.top1 ? low : high) = middle;
  }
  return static_cast<int8_t>(low);
}

// Probabilities as counted, with the built-in ones for what occurs too seldom to know.
codec::ClassTables tablesOf(const codec::ClassCounts& counts) {
  codec::ClassTables out;
  const auto blended = [](const codec::SymbolCounts& seen, const codec::FrequencyTable& prior) {
    codec::SymbolCounts sum{};
    for (size_t s = 0; s < sum.size(); ++s) {
      sum[s] = seen[s] * (codec::kRansProbabilityTotal / kPriorSymbols) + prior.frequency[s];
    }
    return sum;
  };
  const codec::ClassTables& prior = codec::builtInTables();
  for (uint32_t c = 0; c < codec::kStepClasses; ++c) {
    out.coarse[c] =
        codec::coarseTableOf(blended(counts.coarse[c], prior.coarse[c]), codec::coarsePack(c));
    out.fine[c] = codec::fineTableOf(blended(counts.fine[c], prior.fine[c]));
  }
  return out;
}

// From the coefficients of the judge's samples, at the transform's step and at others around it, so
// that every class that may be used is seen.
Status Builder::learnTables(codec::ProfileTransform& transform) const {
  SPOLIA_ASSIGN_OR_RETURN(const auto profile, profileOf(transform));
  const codec::Profile::Transform& prepared = *profile->transform(transform.preset);
  codec::ClassCounts counts;
  codec::LossyScratch scratch;
  const std::vector<uint32_t> groups = codec::lossyGroupBounds(prepared, shape_.layers);
  for (const KvSample& sample : judge_.samples()) {
    const codec::LossyContext context{*profile, prepared, sample.tokens};
    const auto kv = sampleMemory(reinterpret_cast<const std::byte*>(sample.values.data()),
                                 codec::ElementType::kF32, shape_);
    for (const int8_t gain : {0, 0, -4, 4, 10}) {
      for (size_t g = 0; g + 1 < groups.size(); ++g) {
        const codec::LossyPart part{groups[g], groups[g + 1], 0,
                                    static_cast<uint32_t>(sample.tokens.size())};
        SPOLIA_RETURN_IF_ERROR(codec::analyseLossy(context, part, kv, gain, scratch));
        for (const uint8_t level : {0, 1}) {
          codec::countLossyFrame(context, part, level, 2, scratch, counts);
        }
      }
    }
  }
  transform.tables = tablesOf(counts);
  return {};
}

float Builder::rootMeanSquare() const {
  double energy = 0;
  for (size_t r = 0; r < rows_.rows.rows(); ++r) {
    const float* row = rows_.rows.row(r);
    for (size_t c = 0; c < rows_.rows.columns(); ++c) energy += double{row[c]} * row[c];
  }
  return static_cast<float>(
      std::sqrt(energy / static_cast<double>(rows_.rows.rows() * storedColumns())));
}

Status Builder::learnTransform() {
  progress_("prediction and bases");
  codec::ProfileTransform transform;
  transform.preset = static_cast<uint8_t>(options_.preset);
  transform.planesPerGroup = cut_.planesPerGroup;
  transform.ownCodes = static_cast<uint8_t>(maps_.use.own);
  transform.codesBefore = static_cast<uint8_t>(maps_.use.before);
  transform.tables = codec::builtInTables();
  for (size_t b = 0; b + 1 < cut_.bounds.size(); ++b) {
    transform.blocks.push_back(
        learnBlock(rows_, codes_, maps_, cut_.bounds[b], cut_.bounds[b + 1]));
  }
  float step = rootMeanSquare();
  for (int i = 0; i < kMostRefinements; ++i) {
    SPOLIA_RETURN_IF_ERROR(setBases(step, transform));
    SPOLIA_ASSIGN_OR_RETURN(const int8_t gain, largestGain(transform));
    progress_(fmt::format("step {:.4g}, {} quarter octaves to go", step, gain));
    step *= std::exp2(static_cast<float>(gain) / codec::kClassesPerOctave);
    if (gain == 0) break;
  }
  SPOLIA_RETURN_IF_ERROR(setBases(step, transform));
  SPOLIA_RETURN_IF_ERROR(learnTables(transform));
  fit(transform);
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
  if (options.preset != Preset::kBalanced && options.preset != Preset::kSmall) {
    return Status(ErrorCode::kInvalidArgument, "preset: expected balanced or small");
  }
  Judge judge(model, transformer, pool);
  Builder builder(model, judge, options, progress);
  SPOLIA_RETURN_IF_ERROR(builder.learnMetrics(transformer, passages, pool));
  progress(fmt::format("KV of {} passages", passages.size()));
  SPOLIA_ASSIGN_OR_RETURN(const std::vector<KvSample> samples, judge.sample(passages));
  passages.resize(std::min(passages.size(), options.judged));
  SPOLIA_RETURN_IF_ERROR(judge.setReference(std::move(passages)));
  SPOLIA_RETURN_IF_ERROR(builder.learnCodes(transformer, samples));
  SPOLIA_RETURN_IF_ERROR(builder.learnTransform());
  return builder.take();
}

}  // namespace spolia::engine
