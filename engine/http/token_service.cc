#include "engine/http/token_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "engine/http/api_error.h"
#include "engine/http/body_fields.h"

namespace spolia::engine {
namespace {

using Json = BodyFields::Json;

// An id the vocabulary lacks would give no text, and the client would not know.
std::optional<std::vector<codec::TokenId>> readTokens(BodyFields& fields, uint32_t vocabulary) {
  const Json* tokens = fields.find("tokens");
  const std::string expected = "an array of token ids below " + std::to_string(vocabulary);
  if (!tokens || !tokens->is_array()) {
    fields.fail("tokens", tokens, expected);
    return std::nullopt;
  }
  std::vector<codec::TokenId> out;
  for (const Json& token : *tokens) {
    if (!token.is_number_unsigned() || token.get<uint64_t>() >= vocabulary) {
      fields.fail("tokens[" + std::to_string(out.size()) + "]", &token, expected);
      return std::nullopt;
    }
    out.push_back(token.get<codec::TokenId>());
  }
  return out;
}

Result<Json> tokenize(const Model& model, const std::string& text, bool special) {
  SPOLIA_ASSIGN_OR_RETURN(std::vector<codec::TokenId> tokens, model.tokenizer().encode(text));
  if (special) tokens.insert(tokens.begin(), model.config().bosToken);
  return Json{{"count", tokens.size()},
              {"max_model_len", model.config().maxPositions},
              {"tokens", std::move(tokens)}};
}

}  // namespace

HttpResponse TokenService::answer(const std::string& route, const std::string& body) const {
  const std::variant<Json, ApiError> parsed = parseBody(body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return errorResponse(*error);
  BodyFields fields(std::get<Json>(parsed));
  const std::string asked = fields.text("model", false);
  const bool tokenizes = route == kTokenize;
  const std::string text = tokenizes ? fields.text("prompt", true) : "";
  const bool special = tokenizes && (fields.find("add_special_tokens") == nullptr ||
                                     fields.flag("add_special_tokens"));
  const auto tokens = tokenizes ? std::nullopt : readTokens(fields, model_.tokenizer().vocabSize());
  if (fields.error()) return errorResponse(*fields.error());
  if (!asked.empty() && asked != modelName_) return errorResponse(modelNotFound(asked, modelName_));
  HttpResponse response;
  if (tokenizes) {
    const Result<Json> made = tokenize(model_, text, special);
    if (!made.ok()) return errorResponse(apiErrorOf(made.status(), "prompt"));
    response.body = made->dump();
  } else {
    response.body = Json({{"prompt", model_.tokenizer().decode(*tokens)}}).dump();
  }
  return response;
}

void TokenService::submit(const std::string& route, std::string body,
                          std::shared_ptr<ReplyChannel> channel) {
  const auto send = [this, route](ReplyChannel& to, HttpResponse response) {
    metrics_.countRequest(route, response.status);
    to.send(std::move(response));
  };
  const auto work = [this, route, send, body = std::move(body), channel] {
    send(*channel, answer(route, body));
  };
  if (queue_.submit(work)) return;
  HttpResponse full = errorResponse({429,
                                     "rate_limit_error",
                                     "too many requests are waiting; try again later",
                                     {},
                                     "queue_full"});
  full.retryAfterSeconds = 1;
  send(*channel, std::move(full));
}

}  // namespace spolia::engine
