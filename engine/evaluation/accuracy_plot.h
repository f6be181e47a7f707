// AccuracyPlot: share of right answers over the share of rows recomputed, a curve for each family
// and preset, as a PNG. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "codec/base/result.h"
#include "engine/evaluation/scores.h"

namespace spolia::engine {

struct PlotPoint {
  double x = 0;    // share of rows recomputed, 0 to 1
  double y = 0;    // share of right answers, 0 to 1
  Interval range;  // of y
  std::string label;
};

struct PlotCurve {
  std::string name;
  std::vector<PlotPoint> points;  // by x, ascending
};

// The curves of an evaluation, over the worlds of Part::kAll: one for each family and preset, which
// begins with the method that computes least and ends with `full`.
std::vector<PlotCurve> curvesOf(const Evaluation& evaluation, const std::vector<Score>& scores);

// Writes the picture; an existing file is replaced whole. kIoError names the path.
Status writePlot(const std::vector<PlotCurve>& curves, const std::string& title,
                 const std::filesystem::path& path);

}  // namespace spolia::engine
