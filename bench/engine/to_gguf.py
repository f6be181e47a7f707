"""A model of a Hugging Face directory as a GGUF file.

  to_gguf.py DIRECTORY OUT.gguf [--type f32|f16|bf16|q8_0|q4_0|q4_k|q6_k]

Llama, Mistral, Qwen2 and Qwen3, with weights in F32, F16 or BF16, sharded or not, and a byte-level
BPE tokenizer.json. Matrices are of the type, or of a coarser one where their rows are no whole
blocks; norms and biases stay F32, as llama.cpp has it.

GGUF version 3, little-endian: magic, version, counts, key-values, tensor infos, padding, data. The
rows of q and k of Llama and Mistral are reordered: llama.cpp turns neighbouring channels (2i, 2i + 1)
of their heads where Hugging Face turns (i, i + headDim / 2). An output that is newer than its input
is left alone.
"""

import argparse
import json
import math
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ggml_quantize as ggml  # noqa: E402

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # GGUF value types
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5     # token types

# ggml's number, and general.file_type.
TYPES = {"f32": (ggml.F32, 0), "f16": (ggml.F16, 1), "bf16": (ggml.BF16, 32),
         "q8_0": (ggml.Q8_0, 7), "q4_0": (ggml.Q4_0, 2), "q4_k": (ggml.Q4_K, 14),
         "q6_k": (ggml.Q6_K, 18)}
ARCHITECTURES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "llama",
                 "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down"}
OTHER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm",
               "lm_head": "output"}
# The patterns that byte-level tokenizers split by, and what GGUF files call them.
PATTERNS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?"
    r"[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken"}


def read_json(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return json.load(file)


def read_safetensors(path):
    """Name -> float32 array."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack_from("<Q", data)
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}.get(entry["dtype"])
        if kind is None:
            sys.exit(f"{path}: {name} is {entry['dtype']}, expected F32, F16 or BF16")
        array = np.frombuffer(data[begin:end], kind)
        if entry["dtype"] == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        tensors[name] = array.astype(np.float32).reshape(entry["shape"])
    return tensors


def weight_files(directory):
    index = os.path.join(directory, "model.safetensors.index.json")
    if not os.path.exists(index):
        return [os.path.join(directory, "model.safetensors")]
    shards = read_json(directory, "model.safetensors.index.json")["weight_map"].values()
    return [os.path.join(directory, shard) for shard in sorted(set(shards))]


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
    stem, ending = name.rsplit(".", 1)
    if stem in OTHER_NAMES:
        return f"{OTHER_NAMES[stem]}.{ending}"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}.{ending}"


def interleave_halves(weight, heads):
    """Channel i and i + half of each head become neighbours; of a bias likewise."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(weight.shape)


def split_rule(tokenizer):
    """tokenizer.ggml.pre, and whether a blank stands in front of a text."""
    steps = tokenizer.get("pre_tokenizer") or {}
    steps = steps["pretokenizers"] if steps.get("type") == "Sequence" else [steps]
    kinds, last = [step.get("type") for step in steps], steps[-1]
    own_pattern = last.get("use_regex", True)
    name = None
    if kinds == ["ByteLevel"] and own_pattern:
        name = "gpt-2"
    elif kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and own_pattern:
        name = "smollm"
    elif kinds == ["Split", "ByteLevel"] and not own_pattern:
        name = PATTERNS.get(steps[0]["pattern"].get("Regex"))
    if name is None:
        sys.exit(f"tokenizer.json: no name is known for its pre_tokenizer ({kinds})")
    return name, last.get("add_prefix_space", True)


def eos_tokens(directory, config):
    eos = config.get("eos_token_id")
    if os.path.exists(os.path.join(directory, "generation_config.json")):
        eos = read_json(directory, "generation_config.json").get("eos_token_id", eos)
    return eos if isinstance(eos, list) else [eos]


def chat_template(directory):
    if not os.path.exists(os.path.join(directory, "tokenizer_config.json")):
        return []
    template = read_json(directory, "tokenizer_config.json").get("chat_template")
    return [("tokenizer.chat_template", STRING, template)] if isinstance(template, str) else []


def vocabulary_values(directory, config):
    data = read_json(directory, "tokenizer.json")
    pre, blank = split_rule(data)
    size = config["vocab_size"]
    texts, kinds = [f"[unused{i}]" for i in range(size)], [UNUSED] * size
    for text, token in data["model"]["vocab"].items():
        texts[token], kinds[token] = text, NORMAL
    for added in data.get("added_tokens", []):
        texts[added["id"]] = added["content"]
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    eos = eos_tokens(directory, config)
    values = [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, pre),
              ("tokenizer.ggml.tokens", STRING, texts),
              ("tokenizer.ggml.token_type", I32, kinds),
              # llama.cpp wants at least one; this one changes nothing.
              ("tokenizer.ggml.merges", STRING, merges or ["a b"]),
              ("tokenizer.ggml.bos_token_id", U32, config["bos_token_id"]),
              ("tokenizer.ggml.eos_token_id", U32, eos[0]),
              ("tokenizer.ggml.add_bos_token", BOOL, False),
              ("tokenizer.ggml.add_space_prefix", BOOL, blank)]
    if len(eos) > 1:
        values.append(("tokenizer.ggml.eot_token_id", U32, eos[1]))
    return values + chat_template(directory)


def head_dim_of(config):
    usual = 128 if config["architectures"][0] == "Qwen3ForCausalLM" else None
    return (config.get("head_dim") or usual or
            config["hidden_size"] // config["num_attention_heads"])


def rope_of(config):
    """The scaling's kind and fields, and theta."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = config.get("rope_theta") or scaling.get("rope_theta", 10000.0)
    return scaling.get("rope_type", scaling.get("type", "default")), scaling, theta


def rope_values(config):
    kind, scaling, theta = rope_of(config)
    values = [("rope.freq_base", F32, theta), ("rope.dimension_count", U32, head_dim_of(config))]
    if kind in ("linear", "yarn"):
        values += [("rope.scaling.type", STRING, kind),
                   ("rope.scaling.factor", F32, scaling["factor"])]
    if kind == "yarn":
        original = scaling.get("original_max_position_embeddings",
                               config["max_position_embeddings"])
        values.append(("rope.scaling.original_context_length", U32, original))
        values += [(f"rope.scaling.yarn_{name}", F32, scaling[name])
                   for name in ("beta_fast", "beta_slow") if name in scaling]
    # "dynamic" scales nothing up to the context's length; "llama3" is a tensor.
    if kind not in ("default", "linear", "yarn", "dynamic", "llama3"):
        sys.exit(f"config.json: RoPE scaling {kind} has no name in GGUF")
    return values


def llama3_factors(config):
    """What each pair's frequency is divided by; none for another scaling."""
    kind, scaling, theta = rope_of(config)
    if kind != "llama3":
        return None
    dim = head_dim_of(config)
    plain = theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    turns = scaling["original_max_position_embeddings"] * plain / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clip(0, 1)
    return (1 / (kept + (1 - kept) / scaling["factor"])).astype(np.float32)


def window_values(config):
    if config["architectures"][0] == "MistralForCausalLM" and config.get("sliding_window"):
        return [("attention.sliding_window", U32, config["sliding_window"])]
    if config.get("use_sliding_window"):
        sys.exit("config.json: windows in some layers have no name in GGUF")
    return []


def metadata(directory, config, kind):
    architecture = ARCHITECTURES.get(config["architectures"][0])
    if architecture is None:
        sys.exit(f"config.json: {config['architectures'][0]}, expected one of "
                 f"{', '.join(ARCHITECTURES)}")
    heads, hidden, dim = config["num_attention_heads"], config["hidden_size"], head_dim_of(config)
    own = [("vocab_size", U32, config["vocab_size"]),
           ("context_length", U32, config["max_position_embeddings"]),
           ("embedding_length", U32, hidden),
           ("block_count", U32, config["num_hidden_layers"]),
           ("feed_forward_length", U32, config["intermediate_size"]),
           ("attention.head_count", U32, heads),
           ("attention.head_count_kv", U32, config.get("num_key_value_heads", heads)),
           ("attention.key_length", U32, dim),
           ("attention.value_length", U32, dim),
           ("attention.layer_norm_rms_epsilon", F32, config["rms_norm_eps"]),
           *window_values(config), *rope_values(config)]
    return [("general.architecture", STRING, architecture),
            ("general.name", STRING, os.path.basename(os.path.abspath(directory))),
            ("general.alignment", U32, ALIGNMENT),
            ("general.quantization_version", U32, 2),
            ("general.file_type", U32, TYPES[kind][1]),
            *((f"{architecture}.{key}", of, what) for key, of, what in own),
            *vocabulary_values(directory, config)]


def type_of(array, wanted):
    """Of a matrix whose rows are no whole blocks the next type that fits."""
    if array.ndim != 2:
        return ggml.F32
    for kind in (wanted, ggml.Q8_0, ggml.F16):
        if array.shape[1] % ggml.BLOCK_VALUES[kind] == 0:
            return kind
    return ggml.F16


def convert(name, array, config, wanted):
    """(GGUF name, tensor type, dimensions, bytes) of one tensor."""
    if ARCHITECTURES[config["architectures"][0]] == "llama":
        heads = config["num_attention_heads"]
        if ".q_proj." in name:
            array = interleave_halves(array, heads)
        if ".k_proj." in name:
            array = interleave_halves(array, config.get("num_key_value_heads", heads))
    kind = type_of(array, wanted)
    return gguf_name(name), kind, array.shape[::-1], ggml.pack(array, kind)  # fastest first


def all_tensors(directory, config, wanted):
    tied = config.get("tie_word_embeddings", False)
    tensors = []
    for path in weight_files(directory):
        tensors += [convert(name, array, config, wanted)
                    for name, array in read_safetensors(path).items()
                    if not (tied and name.startswith("lm_head."))]
    factors = llama3_factors(config)
    if factors is not None:
        tensors.append(("rope_freqs.weight", ggml.F32, factors.shape, ggml.pack(factors, ggml.F32)))
    return tensors


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(key_value(*entry) for entry in keys)
    offset = 0
    for name, kind, dimensions, data in tensors:
        head += string(name) + struct.pack("<I", len(dimensions))
        head += struct.pack(f"<{len(dimensions)}QIQ", *dimensions, kind, offset)
        offset += data.nbytes + -data.nbytes % ALIGNMENT
    with open(path + ".part", "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, _, data in tensors:
            file.write(data.tobytes())
            file.write(bytes(-data.nbytes % ALIGNMENT))
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("out")
    parser.add_argument("--type", choices=tuple(TYPES), default="f32")
    args = parser.parse_args()
    newest = max(os.path.getmtime(path) for path in weight_files(args.directory))
    if os.path.exists(args.out) and os.path.getmtime(args.out) >= newest:
        return
    config = read_json(args.directory, "config.json")
    keys = metadata(args.directory, config, args.type)
    write(args.out, keys, all_tensors(args.directory, config, TYPES[args.type][0]))


if __name__ == "__main__":
    main()
