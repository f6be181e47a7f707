#include "bench/codec/rate_distortion_plot.h"

#include <cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>

namespace spolia::bench {

namespace {

constexpr double kWidth = 960, kHeight = 600;
constexpr double kLeft = 80, kRight = 190, kTop = 50, kBottom = 60;  // margins
constexpr double kLeastKl = 1e-5, kMostKl = 0.1;

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

std::string ratioText(double ratio) {
  return ratio < 1 ? "1/" + std::to_string(std::lround(1 / ratio))
                   : std::to_string(std::lround(ratio));
}

void drawGrid(cairo_t* to, const Axes& axes) {
  cairo_set_line_width(to, 1);
  cairo_set_font_size(to, 13);
  for (double ratio = axes.leastRatio; ratio <= axes.mostRatio; ratio *= 2) {
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    line(to, axes.x(ratio), axes.y(kLeastKl), axes.x(ratio), axes.y(kMostKl));
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    text(to, axes.x(ratio) - 6, axes.y(kLeastKl) + 20, ratioText(ratio));
  }
  for (int power = -5; power <= -1; ++power) {
    const double y = axes.y(std::pow(10.0, power));
    cairo_set_source_rgb(to, 0.87, 0.87, 0.87);
    line(to, axes.x(axes.leastRatio), y, axes.x(axes.mostRatio), y);
    cairo_set_source_rgb(to, 0.2, 0.2, 0.2);
    text(to, kLeft - 42, y + 5, "1e" + std::to_string(power));
  }
  text(to, axes.x(std::sqrt(axes.leastRatio * axes.mostRatio)) - 80, kHeight - 16,
       "times smaller than fp16");
  text(to, 16, kTop - 16, "KL to the fp16 cache, nats");
}

void drawBudget(cairo_t* to, const Axes& axes, double kl) {
  cairo_set_source_rgb(to, 0.6, 0.1, 0.1);
  cairo_set_line_width(to, 1.5);
  line(to, axes.x(axes.leastRatio), axes.y(kl), axes.x(axes.mostRatio), axes.y(kl));
}

// Curves beyond the palette are told apart by squares instead of dots, and by dashes.
void drawMark(cairo_t* to, double x, double y, size_t index) {
  if (index < kColours.size()) {
    cairo_arc(to, x, y, 3.5, 0, 2 * M_PI);
  } else {
    cairo_rectangle(to, x - 3.5, y - 3.5, 7, 7);
  }
  cairo_fill(to);
}

void drawCurve(cairo_t* to, const Axes& axes, const RateCurve& curve, size_t index) {
  const Colour& colour = kColours[index % kColours.size()];
  cairo_set_source_rgb(to, colour.red, colour.green, colour.blue);
  cairo_set_line_width(to, 2);
  const double dash = 4 + 4 * static_cast<double>(index / kColours.size());
  if (index >= kColours.size()) cairo_set_dash(to, &dash, 1, 0);
  for (const RatePoint& point : curve.points) {
    cairo_line_to(to, axes.x(point.ratio), axes.y(point.kl));
  }
  cairo_stroke(to);
  const double left = kWidth - kRight + 15, y = kTop + 20 * static_cast<double>(index);
  if (curve.points.size() > 1) line(to, left, y, left + 26, y);
  cairo_set_dash(to, nullptr, 0, 0);
  for (const RatePoint& point : curve.points) {
    drawMark(to, axes.x(point.ratio), axes.y(point.kl), index);
  }
  drawMark(to, left + 13, y, index);
  cairo_set_font_size(to, 13);
  text(to, left + 34, y + 4, curve.scheme);
}

Status writeWhole(cairo_surface_t* surface, const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path draft = path.string() + ".new";
  const cairo_status_t status = cairo_surface_write_to_png(surface, draft.c_str());
  if (status != CAIRO_STATUS_SUCCESS) {
    return Status(ErrorCode::kIoError,
                  path.string() + ": cannot be written: " + cairo_status_to_string(status));
  }
  std::filesystem::rename(draft, path, error);
  if (error) return Status(ErrorCode::kIoError, path.string() + ": " + error.message());
  return Status();
}

}  // namespace

Status plotRateDistortion(const std::vector<RateCurve>& curves, double budgetKl,
                          const std::filesystem::path& path) {
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(kWidth),
                                                   static_cast<int>(kHeight)));
  const Context context(cairo_create(surface.get()));
  cairo_t* to = context.get();
  cairo_set_source_rgb(to, 1, 1, 1);
  cairo_paint(to);
  cairo_select_font_face(to, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  const Axes axes = axesFor(curves);
  drawGrid(to, axes);
  drawBudget(to, axes, budgetKl);
  for (size_t i = 0; i < curves.size(); ++i) drawCurve(to, axes, curves[i], i);
  return writeWhole(surface.get(), path);
}

}  // namespace spolia::bench
