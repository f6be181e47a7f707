#include "engine/gguf/gguf_weights.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "engine/gguf/gguf_config.h"

namespace spolia::engine {

namespace {

using NamePair = std::pair<std::string_view, std::string_view>;  // GGUF, Hugging Face

constexpr NamePair kTensorNames[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr NamePair kLayerNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"}};
constexpr std::string_view kLayer = "blk.", kHfLayer = "model.layers.", kUnknown = "gguf/";

// "PREFIX" + number + "." + rest; the number as one writes it, so that no two names become one.
struct LayerName {
  std::string_view number, rest;
};
std::optional<LayerName> layerName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  const bool plain = digits > 0 && (digits == 1 || name[0] != '0');
  if (!plain || digits == name.size() || name[digits] != '.') return std::nullopt;
  return LayerName{name.substr(0, digits), name.substr(digits + 1)};
}

std::string concat(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

// Another stem before ".weight" or ".bias"; nothing for another name.
template <size_t N>
std::string renamed(std::string_view name, const NamePair (&names)[N], bool toHuggingFace) {
  for (const std::string_view ending : {".weight", ".bias"}) {
    if (!name.ends_with(ending)) continue;
    const std::string_view stem = name.substr(0, name.size() - ending.size());
    for (const auto& [gguf, huggingFace] : names) {
      if (stem != (toHuggingFace ? gguf : huggingFace)) continue;
      return concat({toHuggingFace ? huggingFace : gguf, ending});
    }
  }
  return {};
}

class GgufWeightSource final : public WeightSource {
 public:
  GgufWeightSource(GgufParts parts, std::vector<TensorEntry> entries)
      : parts_(std::move(parts)), entries_(std::move(entries)) {
    for (const MappedFile& map : parts_.maps) stamps_.push_back(map.stamp());
  }

  std::span<const FileStamp> files() const override { return stamps_; }
  std::span<const TensorEntry> tensors() const override { return entries_; }
  std::string nameInFile(std::string_view name) const override { return ggufName(name); }

 private:
  GgufParts parts_;
  std::vector<FileStamp> stamps_;
  std::vector<TensorEntry> entries_;
};

// The heads whose rows stand interleaved; 0 for tensors that are neither q nor k.
uint64_t interleavedHeads(const TensorEntry& entry, const ModelConfig& config) {
  const auto layer = layerName(entry.name, kHfLayer);
  if (!layer) return 0;
  const bool query = layer->rest.starts_with("self_attn.q_proj.");
  if (!query && !layer->rest.starts_with("self_attn.k_proj.")) return 0;
  const uint64_t heads = query ? config.heads : config.kvHeads;
  // Of another shape it will be refused.
  return entry.shape[0] == heads * config.headDim ? heads : 0;
}

}  // namespace

std::string huggingFaceName(std::string_view name) {
  std::string out;
  if (const auto layer = layerName(name, kLayer)) {
    out = renamed(layer->rest, kLayerNames, true);
    if (!out.empty()) return concat({kHfLayer, layer->number, ".", out});
  } else {
    out = renamed(name, kTensorNames, true);
  }
  return out.empty() ? concat({kUnknown, name}) : out;
}

std::string ggufName(std::string_view huggingFace) {
  if (huggingFace.starts_with(kUnknown)) return std::string(huggingFace.substr(kUnknown.size()));
  std::string out;
  if (const auto layer = layerName(huggingFace, kHfLayer)) {
    out = renamed(layer->rest, kLayerNames, false);
    if (!out.empty()) return concat({kLayer, layer->number, ".", out});
  } else {
    out = renamed(huggingFace, kTensorNames, false);
  }
  return out.empty() ? std::string(huggingFace) : out;
}

Result<std::unique_ptr<WeightSource>> ggufWeights(GgufParts parts, const ModelConfig& config) {
  const bool interleaved = interleavesHeads(parts.gguf);
  std::vector<TensorEntry> entries;
  for (size_t i = 0; i < parts.gguf.tensors.size(); ++i) {
    const GgufTensor& tensor = parts.gguf.tensors[i];
    TensorEntry entry;
    entry.name = huggingFaceName(tensor.name);
    entry.type = tensor.type;
    entry.shape.assign(tensor.dimensions.rbegin(), tensor.dimensions.rend());
    entry.bytes = tensor.bytes;
    entry.file = parts.fileOf[i];
    if (interleaved) entry.interleavedHeads = interleavedHeads(entry, config);
    const bool vector = entry.shape.size() == 1;
    if (entry.interleavedHeads > 0 && vector && blockValues(*weightTypeOf(entry.type)) > 1) {
      return Status(ErrorCode::kUnsupported, parts.maps[entry.file].stamp().path.string() +
                                                 ": tensor \"" + tensor.name + "\" is of type " +
                                                 std::string(tensorTypeName(entry.type)) +
                                                 ", expected a vector in F32, F16 or BF16");
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, &TensorEntry::name);
  return std::unique_ptr<WeightSource>(
      std::make_unique<GgufWeightSource>(std::move(parts), std::move(entries)));
}

}  // namespace spolia::engine
