#include "engine/evaluation/eval_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace spolia::engine {

namespace {

const Score* find(const std::vector<Score>& scores, const Score& like, Part part) {
  const auto at = std::ranges::find_if(scores, [&](const Score& score) {
    return score.family == like.family && score.variant == like.variant && score.part == part;
  });
  return at == scores.end() ? nullptr : &*at;
}

std::string shareText(const Score* score) {
  return score ? fmt::format("{:5.1f} ({})", 100 * score->share(), score->worlds) : "-";
}

}  // namespace

std::string scoreTable(const Evaluation& evaluation, const std::vector<Score>& scores) {
  std::string out =
      fmt::format("{:<12} {:<9} {:<12} {:>13} {:>13} {:>13} {:>26} {:>7}\n", "family", "preset",
                  "method", "right % (n)", "inside k", "beyond k", "loss, points [95 %]", "rows %");
  for (const Score& score : scores) {
    if (score.part != Part::kAll) continue;
    const Variant& variant = evaluation.variants[score.variant];
    const std::string loss =
        score.variant == 0
            ? "-"
            : fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * score.loss, 100 * score.lossInterval.low,
                          100 * score.lossInterval.high);
    out += fmt::format("{:<12} {:<9} {:<12} {:>13} {:>13} {:>13} {:>26} {:>7.1f}\n", score.family,
                       variant.preset, variant.method.name, shareText(&score),
                       shareText(find(scores, score, Part::kInside)),
                       shareText(find(scores, score, Part::kBeyond)), loss, 100 * score.rowsShare);
  }
  return out;
}

nlohmann::ordered_json scoreJson(const Evaluation& evaluation, const std::vector<Score>& scores,
                                 uint32_t k) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Score& score : scores) {
    const Variant& variant = evaluation.variants[score.variant];
    list.push_back({{"family", score.family},
                    {"part", partName(score.part)},
                    {"method", variant.method.name},
                    {"preset", variant.preset},
                    {"worlds", score.worlds},
                    {"right", score.right},
                    {"share", score.share()},
                    {"low", score.interval.low},
                    {"high", score.interval.high},
                    {"loss", score.loss},
                    {"loss_low", score.lossInterval.low},
                    {"loss_high", score.lossInterval.high},
                    {"rows_share", score.rowsShare},
                    {"stored_bytes", score.storedBytes},
                    {"fp16_bytes", score.fp16Bytes}});
  }
  return {{"k", k}, {"scores", std::move(list)}};
}

}  // namespace spolia::engine
