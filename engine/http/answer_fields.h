// The fields that chat and text completions have in common. Value types; any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "engine/http/body_fields.h"
#include "engine/linker/link_plan.h"
#include "engine/transformer/sampler.h"

namespace spolia::engine {

inline constexpr uint32_t kMostChoices = 16;

struct AnswerFields {
  std::string model;
  std::string keyName;  // of the API key that brought it; empty: none is asked for
  // "cache_salt": what is stored for this request is found under the same salt and key only.
  std::string cacheSalt;
  std::optional<LinkMethod> method;  // "link": {"method", "k", "patience_ms"}
  std::optional<uint32_t> k;
  std::optional<uint32_t> patienceMs;
  std::optional<uint32_t> maxTokens;  // "max_completion_tokens", or "max_tokens"
  std::vector<std::string> stop;      // at most four
  // As the body says; without "temperature" the likeliest tokens. Without "seed" a random one.
  SamplingOptions sampling;
  std::optional<uint32_t> logprobs;   // how many of the likeliest tokens are told beside each
  uint32_t choices = 1;               // "n": with seeds from `sampling.seed` on
  std::optional<uint32_t> timeoutMs;  // "timeout_ms": then the answer is given up
  bool stream = false;
  bool includeUsage = false;  // "stream_options": {"include_usage"}
};

// All but `logprobs`, which each route has a form of its own for. Errors are kept by `fields`.
void readAnswerFields(BodyFields& fields, const BodyFields::Json& object, AnswerFields& out);

// "logprobs": true, with so many "top_logprobs".
std::optional<uint32_t> readLogprobs(BodyFields& fields);

// Refuses these fields where they ask for anything.
void refuseFields(BodyFields& fields, std::initializer_list<const char*> names);

}  // namespace spolia::engine
