#include "engine/http/replies/chat_reply.h"

#include "engine/http/replies/answer_text.h"
#include "engine/http/replies/reply_json.h"

namespace spolia::engine {

namespace {

using Json = nlohmann::ordered_json;

Json tokenOf(const std::string& bytes, float logprob) {
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<uint8_t>(c));
  return {{"token", replaceIllFormed(bytes)},
          {"logprob", logprob > kNeverLogprob ? logprob : kNeverLogprob},
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

// An event without choices.
Json chunkOf(const ReplyHead& head) {
  return {{"id", head.id},
          {"object", "chat.completion.chunk"},
          {"created", head.created},
          {"model", head.model},
          {"choices", Json::array()}};
}

Json chunkOf(const ReplyHead& head, size_t choice, Json delta, const std::string& finishReason,
             const std::vector<TokenLogprob>* logprobs = nullptr) {
  Json out = chunkOf(head);
  out["choices"].push_back({{"index", choice},
                            {"delta", std::move(delta)},
                            {"logprobs", logprobsOf(logprobs)},
                            {"finish_reason", finishReason.empty() ? Json() : Json(finishReason)}});
  return out;
}

}  // namespace

std::string ChatReplies::whole(const ReplyHead& head, const ApiAnswer& answer) const {
  Json choices = Json::array();
  for (const AnswerChoice& choice : answer.choices) {
    choices.push_back(
        {{"index", choices.size()},
         {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
         {"logprobs", logprobsOf(choice.logprobs ? &*choice.logprobs : nullptr)},
         {"finish_reason", choice.finishReason}});
  }
  return replyText({{"id", head.id},
                    {"object", "chat.completion"},
                    {"created", head.created},
                    {"model", head.model},
                    {"choices", std::move(choices)},
                    {"usage", usageJson(answer)},
                    {"cache", cacheJson(answer)}});
}

std::string ChatReplies::begin(const ReplyHead& head, size_t choice) const {
  return replyEvent(chunkOf(head, choice, {{"role", "assistant"}, {"content", ""}}, {}));
}

std::string ChatReplies::piece(const ReplyHead& head, size_t choice, std::string_view text,
                               const std::vector<TokenLogprob>* logprobs) const {
  return replyEvent(chunkOf(head, choice, {{"content", text}}, {}, logprobs));
}

std::string ChatReplies::end(const ReplyHead& head, const ApiAnswer& answer, size_t choice) const {
  Json object = chunkOf(head, choice, Json::object(), answer.choices[choice].finishReason);
  if (choice + 1 == answer.choices.size()) object["cache"] = cacheJson(answer);
  return replyEvent(object);
}

std::string ChatReplies::usage(const ReplyHead& head, const ApiAnswer& answer) const {
  Json object = chunkOf(head);
  object["usage"] = usageJson(answer);
  return replyEvent(object);
}

}  // namespace spolia::engine
