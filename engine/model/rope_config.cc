#include "engine/model/rope_config.h"

#include <algorithm>
#include <cmath>

#include "engine/text/exact_text.h"

namespace spolia::engine {

using nlohmann::json;

namespace {

constexpr uint32_t kMostPositions = 1 << 24;
constexpr double kMaxFactor = 1e6;
constexpr double kSmallest = 1e-6;  // of what must be positive

constexpr RopeKind kRopeKinds[] = {RopeKind::kDefault, RopeKind::kLinear, RopeKind::kDynamic,
                                   RopeKind::kLlama3, RopeKind::kYarn};

std::string kindNames() {
  std::string out;
  for (const RopeKind kind : kRopeKinds) {
    if (!out.empty()) out += ", ";
    out.append("\"").append(ropeKindName(kind)).append("\"");
  }
  return out;
}

Result<RopeKind> kindOf(const JsonFields& fields) {
  const char* field = fields.find("rope_type") ? "rope_type" : "type";
  SPOLIA_ASSIGN_OR_RETURN(const std::string name, fields.string(field, "default"));
  for (const RopeKind kind : kRopeKinds) {
    if (name == ropeKindName(kind)) return kind;
  }
  return fields.wrong(field, "one of " + kindNames(), ErrorCode::kUnsupported);
}

// Zero and null mean the default, as in the reference implementation.
Result<double> positiveOr(const JsonFields& fields, const char* field, double fallback) {
  SPOLIA_ASSIGN_OR_RETURN(const double value, fields.number(field, 0, kMaxFactor, fallback));
  return value == 0 ? fallback : value;
}

double yarnScale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

Status readYarn(const JsonFields& fields, const ModelConfig& config, RopeScaling& out) {
  const double ratio = static_cast<double>(config.maxPositions) / out.originalPositions;
  SPOLIA_ASSIGN_OR_RETURN(out.factor, fields.number("factor", 1, kMaxFactor, std::max(1.0, ratio)));
  SPOLIA_ASSIGN_OR_RETURN(out.betaFast, positiveOr(fields, "beta_fast", 32));
  SPOLIA_ASSIGN_OR_RETURN(out.betaSlow, positiveOr(fields, "beta_slow", 1));
  SPOLIA_ASSIGN_OR_RETURN(out.truncate, fields.boolean("truncate", true));
  SPOLIA_ASSIGN_OR_RETURN(const double all, positiveOr(fields, "mscale_all_dim", 0));
  SPOLIA_ASSIGN_OR_RETURN(const double some, positiveOr(fields, "mscale", 0));
  const double usual = all > 0 && some > 0
                           ? yarnScale(out.factor, some) / yarnScale(out.factor, all)
                           : yarnScale(out.factor, 1);
  SPOLIA_ASSIGN_OR_RETURN(out.attentionFactor,
                          fields.number("attention_factor", kSmallest, kMaxFactor, usual));
  return Status();
}

Status readLlama3(const JsonFields& fields, RopeScaling& out) {
  SPOLIA_ASSIGN_OR_RETURN(out.factor, fields.number("factor", 1, kMaxFactor));
  SPOLIA_ASSIGN_OR_RETURN(out.lowFrequencyFactor,
                          fields.number("low_freq_factor", kSmallest, kMaxFactor));
  SPOLIA_ASSIGN_OR_RETURN(out.highFrequencyFactor,
                          fields.number("high_freq_factor", kSmallest, kMaxFactor));
  if (out.highFrequencyFactor > out.lowFrequencyFactor) return Status();
  return fields.wrong("high_freq_factor", "a number above low_freq_factor");
}

// The positions of the training before scaling: here, beside the object, or (only with yarn) what
// the model has now.
Result<uint32_t> originalPositions(const JsonFields& outer, const JsonFields& fields,
                                   const RopeScaling& scaling, const ModelConfig& config) {
  constexpr const char* kField = "original_max_position_embeddings";
  const JsonFields& place = !fields.find(kField) && outer.find(kField) ? outer : fields;
  if (scaling.kind == RopeKind::kLlama3) return place.integer(kField, 1, kMostPositions);
  return place.integer(kField, 1, kMostPositions, config.maxPositions);
}

Result<RopeScaling> readScaling(const JsonFields& outer, const JsonFields& fields,
                                const ModelConfig& config) {
  RopeScaling out;
  SPOLIA_ASSIGN_OR_RETURN(out.kind, kindOf(fields));
  SPOLIA_ASSIGN_OR_RETURN(const double rotary, fields.number("partial_rotary_factor", 0, 1, 1.0));
  if (rotary != 1.0) return fields.wrong("partial_rotary_factor", "1", ErrorCode::kUnsupported);
  if (out.kind == RopeKind::kLinear || out.kind == RopeKind::kDynamic) {
    SPOLIA_ASSIGN_OR_RETURN(out.factor, fields.number("factor", 1, kMaxFactor));
  }
  if (out.kind == RopeKind::kLlama3 || out.kind == RopeKind::kYarn) {
    SPOLIA_ASSIGN_OR_RETURN(out.originalPositions, originalPositions(outer, fields, out, config));
  }
  if (out.kind == RopeKind::kLlama3) SPOLIA_RETURN_IF_ERROR(readLlama3(fields, out));
  if (out.kind == RopeKind::kYarn) SPOLIA_RETURN_IF_ERROR(readYarn(fields, config, out));
  return out;
}

// Layers of several kinds have an object each.
Status checkOneForAllLayers(const json& object, const JsonFields& fields) {
  for (const auto& [field, value] : object.items()) {
    if (!value.is_object()) continue;
    return fields.wrong(field.c_str(), "one RoPE for all layers", ErrorCode::kUnsupported);
  }
  return Status();
}

bool factorsFit(const ModelConfig& config) {
  const RopeScaling& scaling = config.ropeScaling;
  if (scaling.kind != RopeKind::kFactors) return scaling.factors.empty();
  return scaling.factors.size() == config.headDim / 2 &&
         std::ranges::all_of(scaling.factors, [](float f) { return f > 0 && std::isfinite(f); });
}

}  // namespace

Status readRope(const JsonFields& fields, std::string_view name, ModelConfig& out) {
  constexpr double kLow = 1, kHigh = 1e12;
  SPOLIA_ASSIGN_OR_RETURN(double theta, fields.number("rope_theta", kLow, kHigh, 10000.0));
  bool read = false;
  for (const char* field : {"rope_parameters", "rope_scaling"}) {
    const json* object = fields.find(field);
    if (!object) continue;
    if (!object->is_object()) return fields.wrong(field, "null or an object");
    const JsonFields inner(*object, name, std::string(field) + ".");
    SPOLIA_RETURN_IF_ERROR(checkOneForAllLayers(*object, inner));
    SPOLIA_ASSIGN_OR_RETURN(theta, inner.number("rope_theta", kLow, kHigh, theta));
    SPOLIA_ASSIGN_OR_RETURN(const RopeScaling scaling, readScaling(fields, inner, out));
    if (read && scaling != out.ropeScaling) {
      return fields.wrong(field, "what rope_parameters says, or nothing");
    }
    out.ropeScaling = scaling;
    read = true;
  }
  out.ropeTheta = static_cast<float>(theta);
  if (out.ropeScaling.kind == RopeKind::kYarn) {
    const double reach = out.ropeScaling.factor * out.ropeScaling.originalPositions;
    const auto positions = static_cast<uint32_t>(std::min<double>(reach, kMostPositions));
    out.maxPositions = std::max(out.maxPositions, positions);
  }
  return Status();
}

Status checkRope(const ModelConfig& config) {
  const RopeScaling& scaling = config.ropeScaling;
  const bool yarn = scaling.kind == RopeKind::kYarn;
  if (!(config.ropeTheta >= 1) || !std::isfinite(config.ropeTheta) ||
      (yarn && config.ropeTheta == 1)) {
    return Status(ErrorCode::kInvalidArgument, std::string("rope_theta, expected a number ") +
                                                   (yarn ? "above 1" : "of at least 1"));
  }
  const bool sound =
      scaling.factor >= 1 && scaling.factor <= kMaxFactor && scaling.attentionFactor > 0 &&
      (scaling.kind != RopeKind::kLlama3 ||
       (scaling.originalPositions > 0 && scaling.lowFrequencyFactor > 0 &&
        scaling.highFrequencyFactor > scaling.lowFrequencyFactor)) &&
      (!yarn || (scaling.originalPositions > 0 && scaling.betaFast > 0 && scaling.betaSlow > 0)) &&
      factorsFit(config);
  if (sound) return Status();
  return Status(ErrorCode::kInvalidArgument, "rope_scaling, expected the fields of \"" +
                                                 std::string(ropeKindName(scaling.kind)) +
                                                 "\" in their ranges");
}

std::string canonicalRope(const ModelConfig& config) {
  const RopeScaling& scaling = config.ropeScaling;
  std::string out = "kind=halves\ntheta=" + exactText(config.ropeTheta) +
                    "\nhead_dim=" + std::to_string(config.headDim);
  if (scaling.kind == RopeKind::kDefault) return out + "\nscaling=none\n";
  out += "\nscaling=" + std::string(ropeKindName(scaling.kind)) + "\n";
  auto line = [&out](std::string_view field, const std::string& value) {
    out.append(field).append("=").append(value).append("\n");
  };
  if (scaling.kind == RopeKind::kFactors) {
    for (const float factor : scaling.factors) line("factor", exactText(factor));
    return out;
  }
  line("factor", exactText(scaling.factor));
  if (scaling.kind == RopeKind::kDynamic) line("positions", std::to_string(config.maxPositions));
  if (scaling.originalPositions > 0) line("positions", std::to_string(scaling.originalPositions));
  if (scaling.kind == RopeKind::kLlama3) {
    line("low", exactText(scaling.lowFrequencyFactor));
    line("high", exactText(scaling.highFrequencyFactor));
  }
  if (scaling.kind == RopeKind::kYarn) {
    line("beta_fast", exactText(scaling.betaFast));
    line("beta_slow", exactText(scaling.betaSlow));
    line("truncate", scaling.truncate ? "true" : "false");
    line("attention_factor", exactText(scaling.attentionFactor));
  }
  return out;
}

}  // namespace spolia::engine
