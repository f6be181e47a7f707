#include "engine/evaluation/accuracy_plot.h"

#include <cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace spolia::engine {

namespace {

constexpr double kWidth = 960, kHeight = 600;
constexpr double kLeft = 70, kRight = 250, kTop = 50, kBottom = 60;  // margins

struct Colour {
  double red, green, blue;
};
// Okabe and Ito's palette, which people with any colour vision can tell apart.
constexpr std::array<Colour, 7> kColours = {{{0.00, 0.45, 0.70},
                                             {0.84, 0.37, 0.00},
                                             {0.00, 0.62, 0.45},
                                             {0.80, 0.47, 0.65},
                                             {0.34, 0.71, 0.91},
                                             {0.90, 0.62, 0.00},
                                             {0.00, 0.00, 0.00}}};

struct Closer {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, Closer>;
using Context = std::unique_ptr<cairo_t, Closer>;

double toX(double share) {
  return kLeft + share * (kWidth - kLeft - kRight);
}
double toY(double share) {
  return kHeight - kBottom - share * (kHeight - kTop - kBottom);
}

void text(cairo_t* to, double x, double y, const std::string& words) {
  cairo_move_to(to, x, y);
  cairo_show_text(to, words.c_str());
  cairo_new_path(to);  // showing text leaves a point behind
}

void line(cairo_t* to, double x1, double y1, double x2, double y2) {
  cairo_move_to(to, x1, y1);
  cairo_line_to(to, x2, y2);
  cairo_stroke(to);
}

void drawAxes(cairo_t* to, const std::string& title) {
  cairo_set_line_width(to, 1);
  cairo_set_font_size(to, 13);
  for (int percent = 0; percent <= 100; percent += 20) {
    const double share = percent / 100.0;
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    line(to, toX(0), toY(share), toX(1), toY(share));
    line(to, toX(share), toY(0), toX(share), toY(1));
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    text(to, toX(0) - 42, toY(share) + 5, std::to_string(percent) + " %");
    text(to, toX(share) - 14, toY(0) + 20, std::to_string(percent) + " %");
  }
  text(to, toX(0.5) - 70, toY(0) + 45, "rows recomputed");
  text(to, toX(0) - 50, kTop - 14, "right answers");
  cairo_set_font_size(to, 16);
  text(to, toX(0.25), kTop - 24, title);
}

void drawCurve(cairo_t* to, const PlotCurve& curve, size_t index) {
  const Colour& colour = kColours[index % kColours.size()];
  cairo_set_source_rgb(to, colour.red, colour.green, colour.blue);
  cairo_set_line_width(to, 2);
  // Curves beyond the palette are told apart by dashes.
  const double dash = 6;
  if (index >= kColours.size()) cairo_set_dash(to, &dash, 1, 0);
  for (const PlotPoint& point : curve.points) cairo_line_to(to, toX(point.x), toY(point.y));
  cairo_stroke(to);
  cairo_set_dash(to, nullptr, 0, 0);
  for (const PlotPoint& point : curve.points) {
    line(to, toX(point.x), toY(point.range.low), toX(point.x), toY(point.range.high));
    cairo_arc(to, toX(point.x), toY(point.y), 3.5, 0, 2 * M_PI);
    cairo_fill(to);
  }
  const double y = kTop + 20 * static_cast<double>(index);
  line(to, kWidth - kRight + 20, y, kWidth - kRight + 44, y);
  cairo_set_font_size(to, 13);
  text(to, kWidth - kRight + 52, y + 4, curve.name);
}

void drawLabels(cairo_t* to, const PlotCurve& curve) {
  cairo_set_source_rgb(to, 0.35, 0.35, 0.35);
  cairo_set_font_size(to, 10);
  for (const PlotPoint& point : curve.points) {
    cairo_save(to);
    cairo_translate(to, toX(point.x) + 4, toY(0) - 6);
    cairo_rotate(to, -M_PI / 2);  // upright: methods that compute little stand close together
    text(to, 0, 0, point.label);
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
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(kWidth),
                                                   static_cast<int>(kHeight)));
  const Context context(cairo_create(surface.get()));
  cairo_t* to = context.get();
  cairo_set_source_rgb(to, 1, 1, 1);
  cairo_paint(to);
  cairo_select_font_face(to, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  drawAxes(to, title);
  for (size_t i = 0; i < curves.size(); ++i) drawCurve(to, curves[i], i);
  if (!curves.empty()) drawLabels(to, curves.front());
  const std::filesystem::path draft = path.string() + ".new";
  cairo_status_t status = cairo_status(to);
  if (status == CAIRO_STATUS_SUCCESS) {
    status = cairo_surface_write_to_png(surface.get(), draft.c_str());
  }
  if (status != CAIRO_STATUS_SUCCESS) {
    return Status(ErrorCode::kIoError,
                  path.string() + ": cannot be written: " + cairo_status_to_string(status));
  }
  std::error_code error;
  std::filesystem::rename(draft, path, error);
  if (error) return Status(ErrorCode::kIoError, path.string() + ": " + error.message());
  return Status();
}

}  // namespace spolia::engine
