// A GGUF of one layer of zeros, to change in tests: hidden 8, 2 heads of 4, ffn 16, six tokens.
#pragma once

#include "tests/engine/gguf/gguf_writer.h"

namespace spolia::engine::test {

inline GgufWriter smallVocabulary() {
  GgufWriter out;
  out.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  out.add("tokenizer.ggml.tokens",
          std::vector<std::string>{"<bos>", "a", "b", "ab", "<eos>", "<pad>"});
  out.add("tokenizer.ggml.token_type", std::vector<int32_t>{3, 1, 1, 1, 3, 5});
  out.add("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  out.add("tokenizer.ggml.bos_token_id", 0u).add("tokenizer.ggml.eos_token_id", 4u);
  return out;
}

inline GgufWriter smallModel(const std::string& architecture = "llama") {
  GgufWriter out = smallVocabulary();
  out.add("general.architecture", architecture.c_str());
  const auto add = [&](const char* key, uint32_t value) { out.add(architecture + key, value); };
  add(".block_count", 1);
  add(".embedding_length", 8);
  add(".feed_forward_length", 16);
  add(".context_length", 64);
  add(".attention.head_count", 2);
  add(".attention.head_count_kv", 1);
  out.add(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
  const auto tensor = [&](const char* name, std::vector<uint64_t> dimensions) {
    uint64_t values = 1;
    for (const uint64_t extent : dimensions) values *= extent;
    out.tensor(name, 0, std::move(dimensions), Bytes(4 * values));
  };
  tensor("token_embd.weight", {8, 6});
  tensor("output_norm.weight", {8});
  tensor("blk.0.attn_norm.weight", {8});
  tensor("blk.0.attn_q.weight", {8, 8});
  tensor("blk.0.attn_k.weight", {8, 4});
  tensor("blk.0.attn_v.weight", {8, 4});
  tensor("blk.0.attn_output.weight", {8, 8});
  tensor("blk.0.ffn_norm.weight", {8});
  tensor("blk.0.ffn_gate.weight", {8, 16});
  tensor("blk.0.ffn_up.weight", {8, 16});
  tensor("blk.0.ffn_down.weight", {16, 8});
  if (architecture == "qwen2") {
    tensor("blk.0.attn_q.bias", {8});
    tensor("blk.0.attn_k.bias", {4});
    tensor("blk.0.attn_v.bias", {4});
  }
  if (architecture == "qwen3") {
    tensor("blk.0.attn_q_norm.weight", {4});
    tensor("blk.0.attn_k_norm.weight", {4});
  }
  return out;
}

}  // namespace spolia::engine::test
