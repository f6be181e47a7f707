// Evaluator: every linking method, over every preset, on the same worlds. Chunks are compiled
// alone, encoded and decoded as a store would have it; answers are greedy.
//
// Borrows the model. One run at a time; it starts threads of its own, each on worlds of its own
// with kernels on one thread, so that results do not depend on how many there are.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/base/result.h"
#include "codec/codec.h"
#include "engine/evaluation/world_file.h"
#include "engine/linker/link_plan.h"
#include "engine/model/model.h"

namespace spolia::engine {

// A linking method with its parameter, as it is named on the command line: "reuse", "first-k",
// "first-k:32".
struct MethodChoice {
  LinkMethod method = LinkMethod::kFull;
  uint32_t k = kDefaultFirstK;
  std::string name;
};

// kInvalidArgument for an unknown method or a parameter that is no number from 1 to 1,000,000 or
// belongs to a method without one. `k` is what first-k without a parameter has.
Result<MethodChoice> methodChoiceFromName(std::string_view name, uint32_t k);

// How chunks are encoded, as it is named on the command line: "high", "small", or "small:-4" for a
// gain (codec::EncodeOptions).
struct PresetChoice {
  codec::Preset preset = codec::Preset::kHigh;
  int8_t gain = 0;
  std::string name;
};

// kInvalidArgument for an unknown preset, or a gain that is no number from -128 to 127 or belongs
// to a preset without steps of a profile.
Result<PresetChoice> presetChoiceFromName(std::string_view name);

// One method over one preset. `full` stores nothing and stands once, with no preset.
struct Variant {
  MethodChoice method;
  std::string preset;  // "-" without

  bool operator==(const Variant& other) const {
    return method.name == other.method.name && preset == other.preset;
  }
};

struct Trial {
  std::string given;
  bool right = false;
  uint32_t rows = 0;          // of the prompt
  uint32_t rowsComputed = 0;  // of them
  // Of the prompt's chunks: whole streams, and their values in fp16. 0 where the method stores
  // them only as it answers.
  uint64_t storedBytes = 0;
  uint64_t fp16Bytes = 0;
};

struct WorldResult {
  std::string family;
  // Row of its chunk in which the dependent sentence begins; where the world tells.
  std::optional<uint32_t> row;
  std::vector<Trial> trials;  // one for each variant
};

struct Evaluation {
  std::vector<Variant> variants;  // `full` first
  std::vector<WorldResult> worlds;
};

class Evaluator {
 public:
  struct Config {
    std::vector<MethodChoice> methods;  // `full` is added where it is absent
    std::vector<PresetChoice> presets;
    codec::ElementType pageType = codec::ElementType::kBf16;
    std::string questionTemplate = "Question: {question}\nAnswer:";
    uint32_t maxTokens = 8;
    unsigned threads = 1;
    std::shared_ptr<const codec::Profile> profile;  // for `balanced` and `small`; may be null
  };
  // Worlds done; from any of the threads, one call at a time.
  using Progress = std::function<void(size_t done)>;

  Evaluator(const Model& model, Config config);

  // Results in the order of the worlds. The first failure ends the run: what the model, the codec
  // or the linker refuse, naming the world.
  Result<Evaluation> run(const std::vector<World>& worlds, const Progress& progress = {}) const;

 private:
  const Model& model_;
  const Config config_;
  std::vector<Variant> variants_;
};

}  // namespace spolia::engine
