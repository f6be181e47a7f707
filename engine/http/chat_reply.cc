#include "engine/http/chat_reply.h"

#include <nlohmann/json.hpp>

#include "engine/http/answer_text.h"

namespace spolia::engine {

namespace {

using Json = nlohmann::ordered_json;

std::string textOf(const Json& object) {
  // Names of documents may be any bytes.
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Json usageOf(const ChatAnswer& answer) {
  const uint32_t prompt = answer.provenance.rows;
  return {{"prompt_tokens", prompt},
          {"completion_tokens", answer.completionTokens},
          {"total_tokens", prompt + answer.completionTokens},
          {"prompt_tokens_details", {{"cached_tokens", prompt - answer.provenance.rowsComputed}}}};
}

Json cacheOf(const ChatAnswer& answer) {
  Json out = provenanceJson(answer.provenance);
  out["decoding"] = answer.seed ? "sampled" : "greedy";
  if (answer.seed) out["seed"] = *answer.seed;
  out["documents"] = answer.documents;
  out["ttft_ms"] = answer.firstTokenMs;
  out["total_ms"] = answer.totalMs;
  out["provenance"] = chunksJson(answer.provenance);
  return out;
}

// What the API has for a probability of nothing.
constexpr float kNever = -9999;

Json tokenOf(const std::string& bytes, float logprob) {
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<uint8_t>(c));
  return {{"token", replaceIllFormed(bytes)},
          {"logprob", logprob > kNever ? logprob : kNever},
          {"bytes", std::move(numbers)}};
}

Json logprobsOf(const std::vector<TokenLogprob>* tokens) {
  if (tokens == nullptr) return nullptr;
  Json content = Json::array();
  for (const TokenLogprob& token : *tokens) {
    Json entry = tokenOf(token.bytes, token.logprob);
    entry["top_logprobs"] = Json::array();
    for (const TokenLogprob::Other& other : token.likeliest) {
      entry["top_logprobs"].push_back(tokenOf(other.bytes, other.logprob));
    }
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json chunkOf(const ReplyHead& head, Json delta, const std::string& finishReason,
             const std::vector<TokenLogprob>* logprobs = nullptr) {
  const Json choice = {{"index", 0},
                       {"delta", std::move(delta)},
                       {"logprobs", logprobsOf(logprobs)},
                       {"finish_reason", finishReason.empty() ? Json() : Json(finishReason)}};
  return {{"id", head.id},
          {"object", "chat.completion.chunk"},
          {"created", head.created},
          {"model", head.model},
          {"choices", Json::array({choice})}};
}

std::string eventOf(const Json& object) {
  return "data: " + textOf(object) + "\n\n";
}

}  // namespace

std::string completionText(const ReplyHead& head, const ChatAnswer& answer) {
  const Json choice = {
      {"index", 0},
      {"message", {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}}},
      {"logprobs", logprobsOf(answer.logprobs ? &*answer.logprobs : nullptr)},
      {"finish_reason", answer.finishReason}};
  return textOf({{"id", head.id},
                 {"object", "chat.completion"},
                 {"created", head.created},
                 {"model", head.model},
                 {"choices", Json::array({choice})},
                 {"usage", usageOf(answer)},
                 {"cache", cacheOf(answer)}});
}

std::string roleEvent(const ReplyHead& head) {
  return eventOf(chunkOf(head, {{"role", "assistant"}, {"content", ""}}, {}));
}

std::string textEvent(const ReplyHead& head, std::string_view text,
                      const std::vector<TokenLogprob>* logprobs) {
  return eventOf(chunkOf(head, {{"content", text}}, {}, logprobs));
}

std::string endEvent(const ReplyHead& head, const ChatAnswer& answer) {
  Json object = chunkOf(head, Json::object(), answer.finishReason);
  object["cache"] = cacheOf(answer);
  return eventOf(object);
}

std::string usageEvent(const ReplyHead& head, const ChatAnswer& answer) {
  Json object = chunkOf(head, Json::object(), {});
  object["choices"] = Json::array();
  object["usage"] = usageOf(answer);
  return eventOf(object);
}

}  // namespace spolia::engine
