#include "engine/evaluation/accuracy_plot.h"

#include <algorithm>
#include <cmath>

#include "engine/evaluation/plot_canvas.h"

namespace spolia::engine {

namespace {

constexpr double kWidth = 960, kHeight = 600;
constexpr double kLeft = 70, kRight = 250, kTop = 50, kBottom = 60;  // margins

double toX(double share) {
  return kLeft + share * (kWidth - kLeft - kRight);
}
double toY(double share) {
  return kHeight - kBottom - share * (kHeight - kTop - kBottom);
}

void drawAxes(cairo_t* to, const std::string& title) {
  cairo_set_line_width(to, 1);
  cairo_set_font_size(to, 13);
  for (int percent = 0; percent <= 100; percent += 20) {
    const double share = percent / 100.0;
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    drawLine(to, toX(0), toY(share), toX(1), toY(share));
    drawLine(to, toX(share), toY(0), toX(share), toY(1));
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    drawText(to, toX(0) - 42, toY(share) + 5, std::to_string(percent) + " %");
    drawText(to, toX(share) - 14, toY(0) + 20, std::to_string(percent) + " %");
  }
  drawText(to, toX(0.5) - 70, toY(0) + 45, "rows recomputed");
  drawText(to, toX(0) - 50, kTop - 14, "right answers");
  cairo_set_font_size(to, 16);
  drawText(to, toX(0.25), kTop - 24, title);
}

void drawCurve(cairo_t* to, const PlotCurve& curve, size_t index) {
  const PlotColour& colour = kPlotColours[index % kPlotColours.size()];
  cairo_set_source_rgb(to, colour.red, colour.green, colour.blue);
  cairo_set_line_width(to, 2);
  // Curves beyond the palette are told apart by dashes.
  const double dash = 6;
  if (index >= kPlotColours.size()) cairo_set_dash(to, &dash, 1, 0);
  for (const PlotPoint& point : curve.points) cairo_line_to(to, toX(point.x), toY(point.y));
  cairo_stroke(to);
  cairo_set_dash(to, nullptr, 0, 0);
  for (const PlotPoint& point : curve.points) {
    drawLine(to, toX(point.x), toY(point.range.low), toX(point.x), toY(point.range.high));
    cairo_arc(to, toX(point.x), toY(point.y), 3.5, 0, 2 * M_PI);
    cairo_fill(to);
  }
  const double y = kTop + 20 * static_cast<double>(index);
  drawLine(to, kWidth - kRight + 20, y, kWidth - kRight + 44, y);
  cairo_set_font_size(to, 13);
  drawText(to, kWidth - kRight + 52, y + 4, curve.name);
}

void drawLabels(cairo_t* to, const PlotCurve& curve) {
  cairo_set_source_rgb(to, 0.35, 0.35, 0.35);
  cairo_set_font_size(to, 10);
  for (const PlotPoint& point : curve.points) {
    cairo_save(to);
    cairo_translate(to, toX(point.x) + 4, toY(0) - 6);
    cairo_rotate(to, -M_PI / 2);  // upright: methods that compute little stand close together
    drawText(to, 0, 0, point.label);
    cairo_restore(to);
  }
}

}  // namespace

std::vector<PlotCurve> curvesOf(const Evaluation& evaluation, const std::vector<Score>& scores) {
  std::vector<PlotCurve> out;
  const auto curveNamed = [&](const std::string& name) -> PlotCurve& {
    const auto at = std::ranges::find(out, name, &PlotCurve::name);
    return at != out.end() ? *at : out.emplace_back(PlotCurve{name, {}});
  };
  const auto pointOf = [&](const Score& score) {
    return PlotPoint{score.rowsShare, score.share(), score.interval,
                     evaluation.variants[score.variant].method.name};
  };
  for (const Score& score : scores) {
    if (score.part != Part::kAll || score.variant == 0) continue;
    const std::string& preset = evaluation.variants[score.variant].preset;
    curveNamed(score.family + ", " + preset).points.push_back(pointOf(score));
  }
  for (const Score& full : scores) {
    if (full.part != Part::kAll || full.variant != 0) continue;
    for (PlotCurve& curve : out) {
      if (curve.name.starts_with(full.family + ", ")) curve.points.push_back(pointOf(full));
    }
  }
  for (PlotCurve& curve : out) std::ranges::stable_sort(curve.points, {}, &PlotPoint::x);
  return out;
}

Status writePlot(const std::vector<PlotCurve>& curves, const std::string& title,
                 const std::filesystem::path& path) {
  const PlotCanvas canvas(kWidth, kHeight);
  cairo_t* to = canvas.context();
  drawAxes(to, title);
  for (size_t i = 0; i < curves.size(); ++i) drawCurve(to, curves[i], i);
  if (!curves.empty()) drawLabels(to, curves.front());
  return canvas.write(path);
}

}  // namespace spolia::engine
