#include "bench/codec/baselines/cachegen_paper_scheme.h"

#include <cmath>

#include "bench/codec/baselines/sample_columns.h"

namespace spolia::bench {

namespace {

constexpr size_t kAnchorEvery = 10;
constexpr float kAnchorLevels = 127;
constexpr double kBins[] = {0.5, 1, 1.5};

int32_t levelOf(float value, float step) {
  return step > 0 ? static_cast<int32_t>(std::clamp(std::round(value / step), -32768.f, 32767.f))
                  : 0;
}

// One column of one sample as levels: an anchor, then its differences, and so on.
std::vector<int32_t> levelsOf(std::span<const float> column, float anchorStep, float step) {
  std::vector<int32_t> levels;
  float anchor = 0;
  for (size_t t = 0; t < column.size(); ++t) {
    if (t % kAnchorEvery == 0) {
      levels.push_back(levelOf(column[t], anchorStep));
      anchor = static_cast<float>(levels.back()) * anchorStep;
    } else {
      levels.push_back(levelOf(column[t] - anchor, step));
    }
  }
  return levels;
}

std::span<const float> columnOf(const std::vector<float>& byColumn, size_t columns, size_t column) {
  const size_t tokens = byColumn.size() / columns;
  return {byColumn.data() + column * tokens, tokens};
}

}  // namespace

Status CacheGenPaperScheme::calibrate(std::span<const KvSample> samples, const KvShape& shape) {
  shape_ = shape;
  const size_t columns = shape.columns();
  calibration_.clear();
  for (const KvSample& sample : samples) {
    calibration_.push_back(transposed(sample.values, sample.values.size() / columns, columns));
  }
  unit_.assign(columns, {});
  for (size_t c = 0; c < columns; ++c) {
    float largest = 0;
    double squares = 0;
    size_t count = 0;
    for (const std::vector<float>& sample : calibration_) {
      const std::span<const float> column = columnOf(sample, columns, c);
      for (size_t t = 0; t < column.size(); ++t) {
        largest = std::max(largest, std::abs(column[t]));
        const double difference = column[t] - column[t - t % kAnchorEvery];
        squares += difference * difference;
        count += t % kAnchorEvery != 0;
      }
    }
    const double deviation = count > 0 ? std::sqrt(squares / static_cast<double>(count)) : 0;
    const size_t third = placeOf(shape, c).layer * std::size(kBins) / shape.layers;
    unit_[c] = {largest / kAnchorLevels, static_cast<float>(deviation * kBins[third])};
  }
  return Status();
}

CacheGenPaperScheme::Steps CacheGenPaperScheme::stepsOf(size_t column, double quality) const {
  return {unit_[column].anchor, static_cast<float>(unit_[column].difference * quality)};
}

void CacheGenPaperScheme::prepare(double quality) {
  const size_t columns = shape_.columns();
  tables_.assign(columns, {});
  std::vector<int32_t> anchors, differences;
  for (size_t c = 0; c < columns; ++c) {
    const Steps steps = stepsOf(c, quality);
    anchors.clear(), differences.clear();
    for (const std::vector<float>& sample : calibration_) {
      const std::vector<int32_t> levels =
          levelsOf(columnOf(sample, columns, c), steps.anchor, steps.difference);
      for (size_t t = 0; t < levels.size(); ++t) {
        (t % kAnchorEvery == 0 ? anchors : differences).push_back(levels[t]);
      }
    }
    tables_[c] = {SignedTable(anchors), SignedTable(differences)};
  }
}

Outcome CacheGenPaperScheme::code(const KvSample& sample, double quality) const {
  const size_t columns = shape_.columns(), tokens = sample.values.size() / columns;
  const std::vector<float> byColumn = transposed(sample.values, tokens, columns);
  RangeEncoder encoder;
  for (size_t c = 0; c < columns; ++c) {
    const Steps steps = stepsOf(c, quality);
    const std::vector<int32_t> levels =
        levelsOf(columnOf(byColumn, columns, c), steps.anchor, steps.difference);
    for (size_t t = 0; t < tokens; ++t) {
      (t % kAnchorEvery == 0 ? tables_[c].anchors : tables_[c].differences)
          .encode(levels[t], encoder);
    }
  }
  const Bytes stream = encoder.finish();
  std::vector<float> restored(sample.values.size());
  RangeDecoder decoder(stream);
  for (size_t c = 0; c < columns; ++c) {
    const Steps steps = stepsOf(c, quality);
    float anchor = 0;
    for (size_t t = 0; t < tokens; ++t) {
      const bool first = t % kAnchorEvery == 0;
      const SignedTable& table = first ? tables_[c].anchors : tables_[c].differences;
      const auto level = static_cast<float>(table.decode(decoder));
      if (first) anchor = level * steps.anchor;
      restored[c * tokens + t] = first ? anchor : anchor + level * steps.difference;
    }
  }
  return {stream.size(), transposed(restored, columns, tokens)};
}

}  // namespace spolia::bench
