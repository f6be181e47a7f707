#include "engine/http/sampling_fields.h"

#include <charconv>
#include <cmath>
#include <random>

namespace spolia::engine {
namespace {

using Json = BodyFields::Json;

void readBias(BodyFields& fields, SamplingOptions& out) {
  const Json* bias = fields.find("logit_bias");
  if (!bias) return;
  constexpr const char* kExpected = "an object of token ids, each with a number from -100 to 100";
  if (!bias->is_object()) return fields.fail("logit_bias", bias, kExpected);
  for (const auto& [key, value] : bias->items()) {
    codec::TokenId token = 0;
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool isId = failed == std::errc() && end == key.data() + key.size();
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!isId || !(number >= -100 && number <= 100)) {
      return fields.fail("logit_bias", bias, kExpected);
    }
    out.bias.emplace_back(token, static_cast<float>(number));
  }
}

// Other servers take -1 for all tokens too.
uint32_t readTopK(BodyFields& fields) {
  const Json* value = fields.find("top_k");
  if (value && value->is_number() && *value == -1) return 0;
  return fields.count("top_k", 0, 1u << 30).value_or(0);
}

}  // namespace

void readSampling(BodyFields& fields, SamplingOptions& sampling,
                  std::optional<uint32_t>& logprobs) {
  const auto take = [&](const char* name, double low, double high, float& value) {
    if (const auto number = fields.number(name, low, high)) value = static_cast<float>(*number);
  };
  take("temperature", 0, 2, sampling.temperature);
  take("top_p", 0, 1, sampling.topP);
  take("min_p", 0, 1, sampling.minP);
  take("presence_penalty", -2, 2, sampling.presencePenalty);
  take("frequency_penalty", -2, 2, sampling.frequencyPenalty);
  take("repetition_penalty", 0.01, 100, sampling.repetitionPenalty);
  sampling.topK = readTopK(fields);
  const std::optional<int64_t> seed = fields.integer("seed");
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : std::random_device()();
  readBias(fields, sampling);
  const auto top = fields.count("top_logprobs", 0, kMostLogprobs);
  if (fields.flag("logprobs")) logprobs = top.value_or(0);
  if (top && !logprobs) {
    fields.refuse("top_logprobs", "top_logprobs asks for logprobs to be true");
  }
}

}  // namespace spolia::engine
