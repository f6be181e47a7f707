// The project's streams made with a profile (codec/lossy): `balanced` and `small`, at the profile's
// step and around it. What is counted is the whole stream; the profile is the model's.
#pragma once

#include <memory>

#include "bench/codec/baselines/scheme.h"
#include "codec/codec.h"
#include "codec/lossy/profile.h"

namespace spolia::bench {

class ProfileScheme : public Scheme {
 public:
  // What of a stream is read, and how it is made.
  enum class Form : uint8_t {
    kWhole,     // two levels, both read
    kOneLevel,  // made with one level: what levels cost is the difference
    kCoarse,    // two levels, the first one read; only its bytes are counted
  };

  ProfileScheme(std::shared_ptr<const codec::Profile> profile, codec::Preset preset, Form form)
      : profile_(std::move(profile)), preset_(preset), form_(form) {}

  std::string name() const override;
  // Quarter octaves of the step; 0 is the preset itself.
  std::vector<double> qualities() const override;
  // Learns nothing: the profile was made from other text. kUnsupported when it is of another shape.
  Status calibrate(std::span<const KvSample> samples, const KvShape& shape) override;
  Outcome code(const KvSample& sample, double quality) const override;

 private:
  std::vector<float> derivedPart(const KvSample& sample, uint32_t layers) const;

  const std::shared_ptr<const codec::Profile> profile_;
  const codec::Preset preset_;
  const Form form_;
  KvShape shape_;
};

}  // namespace spolia::bench
