#include "bench/codec/rate_distortion_plot.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "engine/evaluation/plot_canvas.h"

namespace spolia::bench {

using engine::drawLine;
using engine::drawText;
using engine::kPlotColours;

namespace {

constexpr double kWidth = 960, kHeight = 600;
constexpr double kLeft = 80, kRight = 190, kTop = 50, kBottom = 60;  // margins
constexpr double kLeastKl = 1e-5, kMostKl = 0.1;

// What the axes span. Ratios in powers of two.
struct Axes {
  double leastRatio = 1;
  double mostRatio = 2;

  double x(double ratio) const {
    const double share = std::log2(ratio / leastRatio) / std::log2(mostRatio / leastRatio);
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double y(double kl) const {
    const double within = std::clamp(kl, kLeastKl, kMostKl);
    const double share = std::log(within / kLeastKl) / std::log(kMostKl / kLeastKl);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  }
};

Axes axesFor(const std::vector<RateCurve>& curves) {
  Axes axes;
  for (const RateCurve& curve : curves) {
    for (const RatePoint& point : curve.points) {
      axes.leastRatio = std::min(axes.leastRatio, std::exp2(std::floor(std::log2(point.ratio))));
      axes.mostRatio = std::max(axes.mostRatio, std::exp2(std::ceil(std::log2(point.ratio))));
    }
  }
  return axes;
}

std::string ratioText(double ratio) {
  return ratio < 1 ? "1/" + std::to_string(std::lround(1 / ratio))
                   : std::to_string(std::lround(ratio));
}

void drawGrid(cairo_t* to, const Axes& axes) {
  cairo_set_line_width(to, 1);
  cairo_set_font_size(to, 13);
  for (double ratio = axes.leastRatio; ratio <= axes.mostRatio; ratio *= 2) {
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    drawLine(to, axes.x(ratio), axes.y(kLeastKl), axes.x(ratio), axes.y(kMostKl));
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    drawText(to, axes.x(ratio) - 6, axes.y(kLeastKl) + 20, ratioText(ratio));
  }
  for (int power = -5; power <= -1; ++power) {
    const double y = axes.y(std::pow(10.0, power));
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    drawLine(to, axes.x(axes.leastRatio), y, axes.x(axes.mostRatio), y);
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    drawText(to, kLeft - 42, y + 5, "1e" + std::to_string(power));
  }
  drawText(to, axes.x(std::sqrt(axes.leastRatio * axes.mostRatio)) - 80, kHeight - 16,
           "times smaller than fp16");
  drawText(to, 16, kTop - 16, "KL to the fp16 cache, nats");
}

void drawBudget(cairo_t* to, const Axes& axes, double kl) {
  cairo_set_source_rgb(to, 0.6, 0.1, 0.1);
  cairo_set_line_width(to, 1.5);
  drawLine(to, axes.x(axes.leastRatio), axes.y(kl), axes.x(axes.mostRatio), axes.y(kl));
}

// Curves beyond the palette are told apart by squares instead of dots, and by dashes.
void drawMark(cairo_t* to, double x, double y, size_t index) {
  if (index < kPlotColours.size()) {
    cairo_arc(to, x, y, 3.5, 0, 2 * M_PI);
  } else {
    cairo_rectangle(to, x - 3.5, y - 3.5, 7, 7);
  }
  cairo_fill(to);
}

void drawCurve(cairo_t* to, const Axes& axes, const RateCurve& curve, size_t index) {
  const engine::PlotColour& colour = kPlotColours[index % kPlotColours.size()];
  cairo_set_source_rgb(to, colour.red, colour.green, colour.blue);
  cairo_set_line_width(to, 2);
  const double dash = 4 + 4 * static_cast<double>(index / kPlotColours.size());
  if (index >= kPlotColours.size()) cairo_set_dash(to, &dash, 1, 0);
  for (const RatePoint& point : curve.points) {
    cairo_line_to(to, axes.x(point.ratio), axes.y(point.kl));
  }
  cairo_stroke(to);
  const double left = kWidth - kRight + 15, y = kTop + 20 * static_cast<double>(index);
  if (curve.points.size() > 1) drawLine(to, left, y, left + 26, y);
  cairo_set_dash(to, nullptr, 0, 0);
  for (const RatePoint& point : curve.points) {
    drawMark(to, axes.x(point.ratio), axes.y(point.kl), index);
  }
  drawMark(to, left + 13, y, index);
  cairo_set_font_size(to, 13);
  drawText(to, left + 34, y + 4, curve.scheme);
}

}  // namespace

Status plotRateDistortion(const std::vector<RateCurve>& curves, double budgetKl,
                          const std::filesystem::path& path) {
  const engine::PlotCanvas canvas(kWidth, kHeight);
  cairo_t* to = canvas.context();
  const Axes axes = axesFor(curves);
  drawGrid(to, axes);
  drawBudget(to, axes, budgetKl);
  for (size_t i = 0; i < curves.size(); ++i) drawCurve(to, axes, curves[i], i);
  std::error_code error;  // told by what cannot be written then
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  return canvas.write(path);
}

}  // namespace spolia::bench
