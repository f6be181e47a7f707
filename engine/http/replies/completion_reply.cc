#include "engine/http/replies/completion_reply.h"

#include "engine/http/replies/answer_text.h"
#include "engine/http/replies/reply_json.h"

namespace spolia::engine {

namespace {

using Json = nlohmann::ordered_json;

float bounded(float logprob) {
  return logprob > kNeverLogprob ? logprob : kNeverLogprob;
}

// Columns instead of objects; the likeliest tokens by their text.
Json columnsOf(const std::vector<TokenLogprob>* tokens) {
  if (tokens == nullptr) return nullptr;
  Json texts = Json::array(), numbers = Json::array(), top = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : *tokens) {
    texts.push_back(replaceIllFormed(token.bytes));
    numbers.push_back(bounded(token.logprob));
    Json likeliest = Json::object();
    for (const TokenLogprob::Other& other : token.likeliest) {
      likeliest[replaceIllFormed(other.bytes)] = bounded(other.logprob);
    }
    top.push_back(std::move(likeliest));
    offsets.push_back(token.offset);
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(numbers)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

Json choiceOf(size_t index, std::string_view text, const std::vector<TokenLogprob>* logprobs,
              const std::string& finishReason) {
  return {{"index", index},
          {"text", text},
          {"logprobs", columnsOf(logprobs)},
          {"finish_reason", finishReason.empty() ? Json() : Json(finishReason)}};
}

// Events are of the same kind as whole answers.
Json replyOf(const ReplyHead& head, Json choices) {
  return {{"id", head.id},
          {"object", "text_completion"},
          {"created", head.created},
          {"model", head.model},
          {"choices", std::move(choices)}};
}

}  // namespace

std::string CompletionReplies::whole(const ReplyHead& head, const ApiAnswer& answer) const {
  Json choices = Json::array();
  for (const AnswerChoice& choice : answer.choices) {
    choices.push_back(choiceOf(choices.size(), choice.text,
                               choice.logprobs ? &*choice.logprobs : nullptr, choice.finishReason));
  }
  Json out = replyOf(head, std::move(choices));
  out["usage"] = usageJson(answer);
  out["cache"] = cacheJson(answer);
  return replyText(out);
}

std::string CompletionReplies::piece(const ReplyHead& head, size_t choice, std::string_view text,
                                     const std::vector<TokenLogprob>* logprobs) const {
  return replyEvent(replyOf(head, Json::array({choiceOf(choice, text, logprobs, {})})));
}

std::string CompletionReplies::end(const ReplyHead& head, const ApiAnswer& answer,
                                   size_t choice) const {
  const std::string& reason = answer.choices[choice].finishReason;
  Json object = replyOf(head, Json::array({choiceOf(choice, "", nullptr, reason)}));
  if (choice + 1 == answer.choices.size()) object["cache"] = cacheJson(answer);
  return replyEvent(object);
}

std::string CompletionReplies::usage(const ReplyHead& head, const ApiAnswer& answer) const {
  Json object = replyOf(head, Json::array());
  object["usage"] = usageJson(answer);
  return replyEvent(object);
}

}  // namespace spolia::engine
