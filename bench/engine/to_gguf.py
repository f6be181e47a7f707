"""A Llama model of a Hugging Face directory (F32 safetensors) as a GGUF file for llama.cpp.

  to_gguf.py DIRECTORY OUT.gguf [--type f32|f16]

GGUF version 3, little-endian: magic, version, counts, key-values, tensor infos, padding, data. The
rows of q and k are reordered: llama.cpp turns neighbouring channels (2i, 2i + 1) of a head where
Hugging Face turns (i, i + headDim / 2). An output that is newer than its input is left alone.
"""

import argparse
import json
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fidelity"))
import safetensors_file  # noqa: E402

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # GGUF value types
TENSOR_F32, TENSOR_F16 = 0, 1                          # ggml tensor types
NORMAL, CONTROL, UNUSED = 1, 3, 5                      # token types

LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down"}
OTHER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm",
               "lm_head": "output"}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, what):
    if kind == STRING:
        return string(what)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], what)


def key_value(key, kind, what):
    if isinstance(what, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(what))
        return string(key) + head + b"".join(value(kind, item) for item in what)
    return string(key) + struct.pack("<I", kind) + value(kind, what)


def gguf_name(name):
    stem = name.removesuffix(".weight")
    if stem in OTHER_NAMES:
        return OTHER_NAMES[stem] + ".weight"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}.weight"


def interleave_halves(weight, heads):
    """Channel i and i + half of each head become neighbours."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def vocabulary_values(directory, config):
    with open(os.path.join(directory, "tokenizer.json"), encoding="utf-8") as file:
        data = json.load(file)
    size = config["vocab_size"]
    texts, kinds = [f"[unused{i}]" for i in range(size)], [UNUSED] * size
    for text, token in data["model"]["vocab"].items():
        texts[token], kinds[token] = text, NORMAL
    for added in data.get("added_tokens", []):
        texts[added["id"]], kinds[added["id"]] = added["content"], CONTROL
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    eos = config["eos_token_id"]
    return [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "gpt-2"),
            ("tokenizer.ggml.tokens", STRING, texts),
            ("tokenizer.ggml.token_type", I32, kinds),
            # llama.cpp wants at least one; this one changes nothing that is measured.
            ("tokenizer.ggml.merges", STRING, merges or ["a b"]),
            ("tokenizer.ggml.bos_token_id", U32, config["bos_token_id"]),
            ("tokenizer.ggml.eos_token_id", U32, eos[0] if isinstance(eos, list) else eos),
            ("tokenizer.ggml.add_bos_token", BOOL, False)]


def metadata(directory, config, half):
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    head_dim = config.get("head_dim") or hidden // heads
    return [("general.architecture", STRING, "llama"),
            ("general.name", STRING, os.path.basename(os.path.abspath(directory))),
            ("general.alignment", U32, ALIGNMENT),
            ("general.file_type", U32, 1 if half else 0),
            ("llama.vocab_size", U32, config["vocab_size"]),
            ("llama.context_length", U32, config["max_position_embeddings"]),
            ("llama.embedding_length", U32, hidden),
            ("llama.block_count", U32, config["num_hidden_layers"]),
            ("llama.feed_forward_length", U32, config["intermediate_size"]),
            ("llama.attention.head_count", U32, heads),
            ("llama.attention.head_count_kv", U32, config.get("num_key_value_heads", heads)),
            ("llama.attention.key_length", U32, head_dim),
            ("llama.attention.value_length", U32, head_dim),
            ("llama.attention.layer_norm_rms_epsilon", F32, config["rms_norm_eps"]),
            ("llama.rope.freq_base", F32, config.get("rope_theta", 10000.0)),
            ("llama.rope.dimension_count", U32, head_dim),
            *vocabulary_values(directory, config)]


def convert(name, array, config, half):
    """(GGUF name, tensor type, array) of one tensor; norms stay F32, as llama.cpp has it."""
    heads = config["num_attention_heads"]
    if name.endswith("q_proj.weight"):
        array = interleave_halves(array, heads)
    if name.endswith("k_proj.weight"):
        array = interleave_halves(array, config.get("num_key_value_heads", heads))
    if half and array.ndim == 2:
        return gguf_name(name), TENSOR_F16, array.astype("<f2")
    return gguf_name(name), TENSOR_F32, array.astype("<f4")


def padded(size):
    return size + -size % ALIGNMENT


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(key_value(*entry) for entry in keys)
    offset = 0
    for name, kind, array in tensors:
        dimensions = array.shape[::-1]  # fastest first
        head += string(name) + struct.pack("<I", len(dimensions))
        head += struct.pack(f"<{len(dimensions)}QIQ", *dimensions, kind, offset)
        offset += padded(array.nbytes)
    with open(path + ".part", "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, array in tensors:
            file.write(np.ascontiguousarray(array).tobytes())
            file.write(bytes(-array.nbytes % ALIGNMENT))
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("out")
    parser.add_argument("--type", choices=("f32", "f16"), default="f32")
    args = parser.parse_args()
    weights_path = os.path.join(args.directory, "model.safetensors")
    if os.path.exists(args.out) and os.path.getmtime(args.out) >= os.path.getmtime(weights_path):
        return
    with open(os.path.join(args.directory, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    half = args.type == "f16"
    weights = safetensors_file.read(weights_path)
    tensors = [convert(name, array, config, half) for name, array in weights.items()]
    write(args.out, metadata(args.directory, config, half), tensors)


if __name__ == "__main__":
    main()
