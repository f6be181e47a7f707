#include "engine/http/answer_fields.h"

#include <charconv>
#include <cmath>
#include <random>

namespace spolia::engine {

namespace {

using Json = BodyFields::Json;

constexpr uint32_t kMostTokens = 1u << 24;
constexpr uint32_t kMostMs = 3'600'000;
constexpr uint32_t kMostLogprobs = 20;
constexpr size_t kMostSaltBytes = 256;

void readSalt(BodyFields& fields, AnswerFields& out) {
  const Json* salt = fields.find("cache_salt");
  if (!salt) return;
  const bool good = salt->is_string() && !salt->get_ref<const std::string&>().empty() &&
                    salt->get_ref<const std::string&>().size() <= kMostSaltBytes;
  if (!good) return fields.fail("cache_salt", salt, "a text of 1 to 256 bytes");
  out.cacheSalt = salt->get<std::string>();
}

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

void readSampling(BodyFields& fields, SamplingOptions& sampling) {
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
}

void readLink(BodyFields& reader, AnswerFields& out) {
  const Json* link = reader.find("link");
  if (!link) return;
  if (!link->is_object())
    return reader.fail("link", link, "an object with \"method\", \"k\" or \"patience_ms\"");
  out.k = reader.count(*link, "k", "link.k", 1, 1'000'000);
  out.patienceMs = reader.count(*link, "patience_ms", "link.patience_ms", 0, kMostMs);
  const Json* method = reader.find(*link, "method");
  if (!method) return;
  if (!method->is_string()) return reader.fail("link.method", method, "the name of a method");
  const Result<LinkMethod> parsed = linkMethodFromName(method->get<std::string>());
  if (!parsed.ok())
    return reader.refuse("link.method", "link.method: " + parsed.status().message());
  out.method = *parsed;
}

void readStop(BodyFields& reader, AnswerFields& out) {
  constexpr size_t kMost = 4;
  const Json* stop = reader.find("stop");
  if (!stop) return;
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  for (const Json& text : list) {
    if (!text.is_string() || text.get<std::string>().empty() || list.size() > kMost) {
      return reader.fail("stop", stop, "a text, or up to four of them, none empty");
    }
    out.stop.push_back(text.get<std::string>());
  }
}

void readStream(BodyFields& reader, AnswerFields& out) {
  out.stream = reader.flag("stream");
  const Json* options = reader.find("stream_options");
  if (!options) return;
  if (!options->is_object()) return reader.fail("stream_options", options, "an object");
  out.includeUsage = reader.flag(*options, "include_usage", "stream_options.include_usage");
}

}  // namespace

void readAnswerFields(BodyFields& fields, const Json& object, AnswerFields& out) {
  readSalt(fields, out);
  readLink(fields, out);
  readStop(fields, out);
  out.choices = fields.count("n", 1, kMostChoices).value_or(1);
  readSampling(fields, out.sampling);
  const auto limit = fields.count(object, "max_tokens", "max_tokens", 1, kMostTokens);
  out.maxTokens =
      fields.count(object, "max_completion_tokens", "max_completion_tokens", 1, kMostTokens);
  if (!out.maxTokens) out.maxTokens = limit;
  out.timeoutMs = fields.count("timeout_ms", 1, kMostMs);
  readStream(fields, out);
}

std::optional<uint32_t> readLogprobs(BodyFields& fields) {
  std::optional<uint32_t> logprobs;
  const auto top = fields.count("top_logprobs", 0, kMostLogprobs);
  if (fields.flag("logprobs")) logprobs = top.value_or(0);
  if (top && !logprobs) {
    fields.refuse("top_logprobs", "top_logprobs asks for logprobs to be true");
  }
  return logprobs;
}

void refuseFields(BodyFields& fields, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const Json* value = fields.find(name);
    if (value && *value != false && !(value->is_structured() && value->empty())) {
      fields.refuse(name, std::string(name) + " is not supported");
    }
  }
}

}  // namespace spolia::engine
