#include "engine/evaluation/plot_canvas.h"

namespace spolia::engine {

PlotCanvas::PlotCanvas(double width, double height)
    : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(width),
                                          static_cast<int>(height))),
      context_(cairo_create(surface_.get())) {
  cairo_set_source_rgb(context_.get(), 1, 1, 1);
  cairo_paint(context_.get());
  cairo_select_font_face(context_.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         CAIRO_FONT_WEIGHT_NORMAL);
}

Status PlotCanvas::write(const std::filesystem::path& path) const {
  const std::filesystem::path draft = path.string() + ".new";
  cairo_status_t status = cairo_status(context_.get());
  if (status == CAIRO_STATUS_SUCCESS) {
    status = cairo_surface_write_to_png(surface_.get(), draft.c_str());
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

void drawText(cairo_t* to, double x, double y, const std::string& words) {
  cairo_move_to(to, x, y);
  cairo_show_text(to, words.c_str());
  cairo_new_path(to);  // showing text leaves a point behind
}

void drawLine(cairo_t* to, double x1, double y1, double x2, double y2) {
  cairo_move_to(to, x1, y1);
  cairo_line_to(to, x2, y2);
  cairo_stroke(to);
}

}  // namespace spolia::engine
