#include "engine/scheduler/generation.h"

#include <chrono>
#include <optional>

namespace spolia::engine {

namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
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
  link.spareRows = options.sequence.maxTokens;
  SPOLIA_ASSIGN_OR_RETURN(LinkedPrompt linked, linker.link(prompt, link));
  Answer out;
  Sequence sequence(model, options.sequence, prompt.tokens());
  Sequence::OnToken tell;
  if (options.onToken) tell = [&](const ChosenToken& t) { return options.onToken(t, elapsed()); };
  ChosenToken chosen = sequence.choose(linked.logits);
  out.firstTokenMs = elapsed();
  std::optional<DecodeBatch> batch;
  while (sequence.take(chosen, tell)) {
    if (!batch) batch.emplace(transformer, 1);
    const DecodeRow row = sequence.row(*linked.pages);
    const MatrixView logits = batch->step({&row, 1});
    chosen = sequence.choose({logits.row(0), logits.columns()});
  }
  out.tokens = sequence.tokens();
  out.stopped = sequence.stopped();
  if (model.hasTokenizer()) out.text = trimmed(model.tokenizer().decode(out.tokens));
  out.totalMs = elapsed();
  linker.writeBack(linked);
  out.provenance = std::move(linked.provenance);
  return out;
}

}  // namespace spolia::engine
