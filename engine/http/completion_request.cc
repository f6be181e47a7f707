#include "engine/http/completion_request.h"

#include <algorithm>

namespace spolia::engine {

namespace {

using Json = BodyFields::Json;

constexpr uint32_t kMostLegacyLogprobs = 5;

bool isTokens(const Json& value) {
  return value.is_array() && !value.empty() && std::ranges::all_of(value, [](const Json& id) {
           return id.is_number_unsigned() && id.get<uint64_t>() <= UINT32_MAX;
         });
}

void readPrompts(BodyFields& reader, CompletionRequest& out) {
  constexpr const char* kExpected =
      "a text, an array of up to 16 texts, an array of token ids, or up to 16 of these";
  const Json* prompt = reader.find("prompt");
  if (!prompt) return reader.fail("prompt", prompt, kExpected);
  const bool several = prompt->is_array() && !isTokens(*prompt);
  const Json list = several ? *prompt : Json::array({*prompt});
  if (list.empty() || list.size() > CompletionRequest::kMostPrompts) {
    return reader.fail("prompt", prompt, kExpected);
  }
  for (const Json& entry : list) {
    if (entry.is_string()) {
      out.prompts.emplace_back(entry.get<std::string>());
    } else if (isTokens(entry)) {
      out.prompts.emplace_back(entry.get<std::vector<codec::TokenId>>());
    } else {
      return reader.fail("prompt", prompt, kExpected);
    }
  }
}

}  // namespace

std::variant<CompletionRequest, ApiError> parseCompletionRequest(std::string_view body) {
  const std::variant<Json, ApiError> parsed = parseBody(body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const Json& object = std::get<Json>(parsed);
  BodyFields reader(object);
  CompletionRequest out;
  out.model = reader.text("model", true);
  readPrompts(reader, out);
  readAnswerFields(reader, object, out);
  out.logprobs = reader.count("logprobs", 0, kMostLegacyLogprobs);
  refuseFields(reader, {"echo", "suffix"});
  if (const auto best = reader.count("best_of", 1, kMostChoices); best && *best != out.choices) {
    reader.refuse("best_of", "best_of other than n is not supported");
  }
  if (reader.error()) return *reader.error();
  return out;
}

}  // namespace spolia::engine
