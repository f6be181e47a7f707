#include "engine/linker/generation.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

namespace spolia::engine {

namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// Why decoding ends before this token, if it does.
std::optional<StopReason> stopBefore(const Model& model, codec::TokenId token,
                                     const GenerationOptions& options) {
  if (std::ranges::count(model.config().eosTokens, token) > 0) return StopReason::kEndOfText;
  if (options.stopAtNewline && model.hasTokenizer() &&
      model.tokenizer().tokenBytes(token).find('\n') != std::string_view::npos) {
    return StopReason::kNewline;
  }
  return std::nullopt;
}

// Logits behind `token`, which stands at `position`.
Result<std::vector<float>> step(const Model& model, const Transformer& transformer, KvPages& pages,
                                codec::TokenId token, uint32_t position) {
  SPOLIA_ASSIGN_OR_RETURN(Pass pass,
                          transformer.begin(std::span(&token, 1), std::span(&position, 1)));
  for (uint32_t layer = 0; layer < model.config().layers; ++layer) {
    transformer.runLayer(pass, layer, pages);
  }
  return transformer.logits(pass, 0);
}

}  // namespace

Result<Answer> answerPrompt(const Model& model, const Transformer& transformer, Linker& linker,
                            const Prompt& prompt, const GenerationOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  LinkOptions link = options.link;
  link.spareRows = options.maxTokens;
  SPOLIA_ASSIGN_OR_RETURN(LinkedPrompt linked, linker.link(prompt, link));
  Answer out;
  const std::vector<codec::TokenId> promptTokens = prompt.tokens();
  Sampler sampler(options.sampling, promptTokens);
  const auto choose = [&](std::span<const float> logits) {
    ChosenToken chosen{sampler.next(logits), {}};
    if (options.odds) chosen.odds = oddsOf(logits, chosen.token, *options.odds);
    return chosen;
  };
  ChosenToken chosen = choose(linked.logits);
  out.firstTokenMs = elapsed();
  for (uint32_t position = linked.rows; out.tokens.size() < options.maxTokens; ++position) {
    if (const auto stop = stopBefore(model, chosen.token, options)) {
      out.stopped = *stop;
      break;
    }
    out.tokens.push_back(chosen.token);
    if (options.onToken && !options.onToken(chosen, elapsed())) {
      out.stopped = StopReason::kAsked;
      break;
    }
    if (out.tokens.size() == options.maxTokens) break;
    SPOLIA_ASSIGN_OR_RETURN(std::vector<float> logits,
                            step(model, transformer, *linked.pages, chosen.token, position));
    chosen = choose(logits);
  }
  if (model.hasTokenizer()) out.text = trimmed(model.tokenizer().decode(out.tokens));
  out.totalMs = elapsed();
  linker.writeBack(linked);
  out.provenance = std::move(linked.provenance);
  return out;
}

}  // namespace spolia::engine
