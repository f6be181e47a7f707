// What every codec that is compared looks like. Used by one thread, except where said.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/codec/quality/judging.h"
#include "codec/base/result.h"

namespace spolia::bench {

struct Outcome {
  // Everything a stored chunk needs beside what calibration fixed for the model: scales, tables of
  // this chunk, streams. Token ids are counted for our own streams only, which carry them.
  uint64_t bytes = 0;
  // In the order of KvSample::values; decoded from those bytes.
  std::vector<float> restored;
};

class Scheme {
 public:
  virtual ~Scheme() = default;

  virtual std::string name() const = 0;
  // What the scale of this scheme is swept over, finest first; one value when it has none.
  virtual std::vector<double> qualities() const = 0;
  // Learns what is fixed per model. The samples outlive the scheme. kUnsupported when the model is
  // not for this scheme.
  virtual Status calibrate(std::span<const KvSample> samples, const KvShape& shape) = 0;
  // Comes before the first code() of a quality: what calibration fixes for that quality.
  virtual void prepare(double /*quality*/) {}
  // Encodes and decodes. Any number of threads at once.
  virtual Outcome code(const KvSample& sample, double quality) const = 0;
};

}  // namespace spolia::bench
