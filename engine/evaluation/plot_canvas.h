// A white picture to draw curves on with cairo, and how it becomes a PNG: what the project's plots
// share. Moves; one thread.
#pragma once

#include <cairo.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "codec/base/result.h"

namespace spolia::engine {

struct PlotColour {
  double red, green, blue;
};
// Okabe and Ito's palette, which people with any colour vision can tell apart.
inline constexpr std::array<PlotColour, 7> kPlotColours = {{{0.00, 0.45, 0.70},
                                                            {0.84, 0.37, 0.00},
                                                            {0.00, 0.62, 0.45},
                                                            {0.80, 0.47, 0.65},
                                                            {0.34, 0.71, 0.91},
                                                            {0.90, 0.62, 0.00},
                                                            {0.00, 0.00, 0.00}}};

class PlotCanvas {
 public:
  PlotCanvas(double width, double height);

  cairo_t* context() const { return context_.get(); }
  // Writes the picture; an existing file is replaced whole. kIoError names the path.
  Status write(const std::filesystem::path& path) const;

 private:
  struct Closer {
    void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
    void operator()(cairo_t* context) const { cairo_destroy(context); }
  };

  std::unique_ptr<cairo_surface_t, Closer> surface_;
  std::unique_ptr<cairo_t, Closer> context_;
};

void drawText(cairo_t* to, double x, double y, const std::string& words);
void drawLine(cairo_t* to, double x1, double y1, double x2, double y2);

}  // namespace spolia::engine
