#include "engine/http/chat_reply.h"

#include <nlohmann/json.hpp>

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
  out["decoding"] = "greedy";
  out["documents"] = answer.documents;
  out["ttft_ms"] = answer.firstTokenMs;
  out["total_ms"] = answer.totalMs;
  out["provenance"] = chunksJson(answer.provenance);
  return out;
}

Json chunkOf(const ReplyHead& head, Json delta, const std::string& finishReason) {
  const Json choice = {{"index", 0},
                       {"delta", std::move(delta)},
                       {"logprobs", nullptr},
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
      {"logprobs", nullptr},
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

std::string textEvent(const ReplyHead& head, std::string_view text) {
  return eventOf(chunkOf(head, {{"content", text}}, {}));
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
