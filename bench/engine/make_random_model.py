"""A fixed model with random weights as a Hugging Face directory: what speed is measured on.

  make_random_model.py DIRECTORY [--layers N] [--hidden N] ... [--seed N]

The defaults are the model of `bench/run ttft`. The same arguments give the same bytes (numpy's PCG64);
a directory that is complete already is left alone. The tokenizer has one token for each byte and the
special tokens <|bos|> and <|eos|>; the other ids of the vocabulary have no text.
"""

import argparse
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fidelity"))
import safetensors_file  # noqa: E402

BOS, EOS = 0, 1
FIRST_BYTE = 2


def byte_characters():
    """The 256 printable characters byte-level BPE writes bytes as, by byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return [table[byte] for byte in range(256)]


def tokenizer():
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
               "special": True}
    vocabulary = {"<|bos|>": BOS, "<|eos|>": EOS}
    vocabulary.update({text: FIRST_BYTE + i for i, text in enumerate(byte_characters())})
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": BOS, "content": "<|bos|>", **special},
                             {"id": EOS, "content": "<|eos|>", **special}],
            "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocabulary, "merges": []}}


def config(args):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "vocab_size": args.vocabulary, "hidden_size": args.hidden,
            "intermediate_size": args.ffn, "num_hidden_layers": args.layers,
            "num_attention_heads": args.heads, "num_key_value_heads": args.kv_heads,
            "head_dim": args.head_dim, "hidden_act": "silu", "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "rope_scaling": None,
            "max_position_embeddings": args.positions, "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": True, "torch_dtype": "float32", "bos_token_id": BOS,
            "eos_token_id": EOS}


def tensors(args):
    """Scaled so that the hidden state keeps its size and attention is neither flat nor single."""
    random = np.random.Generator(np.random.PCG64(args.seed))

    def weight(rows, columns):
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return values * np.float32(columns ** -0.5)

    def norm():
        return 1 + np.float32(0.1) * random.standard_normal(args.hidden, dtype=np.float32)

    query, kv = args.heads * args.head_dim, args.kv_heads * args.head_dim
    out = {"model.embed_tokens.weight": weight(args.vocabulary, args.hidden)}
    for layer in range(args.layers):
        prefix = f"model.layers.{layer}."
        out[prefix + "input_layernorm.weight"] = norm()
        out[prefix + "self_attn.q_proj.weight"] = weight(query, args.hidden)
        out[prefix + "self_attn.k_proj.weight"] = weight(kv, args.hidden)
        out[prefix + "self_attn.v_proj.weight"] = weight(kv, args.hidden)
        out[prefix + "self_attn.o_proj.weight"] = weight(args.hidden, query)
        out[prefix + "post_attention_layernorm.weight"] = norm()
        out[prefix + "mlp.gate_proj.weight"] = weight(args.ffn, args.hidden)
        out[prefix + "mlp.up_proj.weight"] = weight(args.ffn, args.hidden)
        out[prefix + "mlp.down_proj.weight"] = weight(args.hidden, args.ffn)
    out["model.norm.weight"] = norm()
    return out


def write_json(path, data):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2, ensure_ascii=False)
        file.write("\n")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    for name, default in (("hidden", 768), ("layers", 12), ("heads", 12), ("kv-heads", 4),
                          ("head-dim", 64), ("ffn", 1536), ("vocabulary", 32000),
                          ("positions", 8192), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    return parser.parse_args()


def main():
    args = parse_arguments()
    os.makedirs(args.directory, exist_ok=True)
    recipe_path = os.path.join(args.directory, "recipe.json")  # written last: complete
    recipe = {key: value for key, value in vars(args).items() if key != "directory"}
    if os.path.exists(recipe_path):
        with open(recipe_path, encoding="utf-8") as file:
            if json.load(file) == recipe:
                return
        os.remove(recipe_path)
    write_json(os.path.join(args.directory, "config.json"), config(args))
    write_json(os.path.join(args.directory, "tokenizer.json"), tokenizer())
    safetensors_file.write(os.path.join(args.directory, "model.safetensors"), tensors(args))
    write_json(recipe_path, recipe)


if __name__ == "__main__":
    main()
