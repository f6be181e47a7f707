// How the encoder of scaled channels chooses steps, offsets and classes, and its quantising.
// codec/scaled/scaled_frame.h writes what comes of it. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/base/result.h"
#include "codec/scaled/scaled_frame.h"
#include "codec/values/plane_rows.h"

namespace spolia::codec {

// Memory to analyse in; reused from plane to plane.
struct ScaleScratch {
  std::vector<float> columns;                             // some heads' values: [token][channel]
  std::vector<float> mean, deviation, farthest, inverse;  // [channel]
  std::vector<int32_t> offset;
};

// Steps, offsets, classes and quantised values of one plane of a frame, whose first token is row 0
// of `rows`. A head's step is `kappa` times its spread, and wider where a value would be too many
// steps away otherwise. kInvalidArgument when a value is not finite.
Status analyseScaled(const PlaneRows<const std::byte>& rows, double kappa, size_t plane,
                     ScaleScratch& scratch, ScaledScratch& frame);

}  // namespace spolia::codec
