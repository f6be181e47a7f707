#include "engine/http/replies/reply_json.h"

namespace spolia::engine {

using Json = nlohmann::ordered_json;

Json usageJson(const ApiAnswer& answer) {
  uint32_t prompt = 0, computed = 0, completion = 0;
  for (const AnsweredPrompt& each : answer.prompts) {
    prompt += each.provenance.rows;
    computed += each.provenance.rowsComputed;
  }
  for (const AnswerChoice& choice : answer.choices) completion += choice.completionTokens;
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_tokens_details", {{"cached_tokens", prompt - computed}}}};
}

Json cacheJson(const ApiAnswer& answer) {
  Json all = Json::array();
  for (const AnsweredPrompt& prompt : answer.prompts) {
    Json out = provenanceJson(prompt.provenance);
    out["decoding"] = answer.seed ? "sampled" : "greedy";
    if (answer.seed) out["seed"] = *answer.seed;
    out["documents"] = prompt.documents;
    out["ttft_ms"] = answer.firstTokenMs;
    out["total_ms"] = answer.totalMs;
    out["provenance"] = chunksJson(prompt.provenance);
    all.push_back(std::move(out));
  }
  return all.size() == 1 ? all.front() : all;
}

std::string replyText(const Json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string replyEvent(const Json& object) {
  return "data: " + replyText(object) + "\n\n";
}

}  // namespace spolia::engine
