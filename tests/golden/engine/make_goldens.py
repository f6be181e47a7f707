#!/usr/bin/python3
"""Golden logits for the engine, by PyTorch (Debian: python3-torch).

Writes tiny seeded models of each family as Hugging Face directories beside this file, runs a plain forward
pass in float64 over a few prompts, and stores prompts and logits in each directory:

  golden.json      the prompts as token ids; for each the first row whose logits are kept (0 if absent)
  logits_f32.bin   logits of the kept positions of every prompt, one after the other: little-endian
                   f32 [rows][vocab]; nothing is rounded on the way
  logits_bf16.bin  the same with K (before RoPE) and V rounded to bfloat16 where a KV page of that
                   type would hold them

  make_goldens.py           writes everything anew
  make_goldens.py --check   reads the directories and recomputes the logits; exits 1 if they differ
"""

import json
import math
import os
import struct
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ['<|bos|>', '<|eos|>']
MERGES = [('t', 'h'), ('th', 'e'), ('Ġ', 'the'), ('i', 'n'), ('Ġ', 'a'), ('a', 'n'), ('an', 'd'),
          ('Ġ', 'and'), ('o', 'n'), ('e', 'r'), ('Ġ', 's'), ('o', 'u'), ('r', 'e'), ('e', 'd')]
VOCAB = len(SPECIAL) + 256 + len(MERGES)
PROMPT_LENGTHS = [1, 17, 80]  # the last one is longer than a page of 64 tokens
FIRST_ROWS = [0, 13, 72]      # kept of models that are small

# name -> configuration, dtype of the weights, number of files, seed
MODELS = {
    'tied_group4_bf16': (dict(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
        head_dim=32, intermediate_size=96, rope_theta=500000.0, rms_norm_eps=1e-5,
        tie_word_embeddings=True), torch.bfloat16, 1, 11),
    'untied_group1_f32_shards': (dict(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2,
        head_dim=32, intermediate_size=48, rope_theta=10000.0, rms_norm_eps=1e-6,
        tie_word_embeddings=False), torch.float32, 2, 22),
    'tied_group2_f16': (dict(
        hidden_size=128, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=80, rope_theta=10000.0, rms_norm_eps=1e-5,
        tie_word_embeddings=True), torch.float16, 1, 33),
}
SMALL = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
             head_dim=16, intermediate_size=32, rope_theta=10000.0, rms_norm_eps=1e-6)
# Likewise: what each family has beside plain Llama, and the scalings of RoPE. Every scaling and
# window matters within the longest prompt.
SMALL_MODELS = {
    'mistral_window': (dict(
        SMALL, architectures=['MistralForCausalLM'], model_type='mistral', sliding_window=20,
        tie_word_embeddings=False), torch.bfloat16, 1, 44),
    'qwen2_dynamic': (dict(
        SMALL, architectures=['Qwen2ForCausalLM'], model_type='qwen2', use_sliding_window=True,
        sliding_window=30, max_window_layers=1, tie_word_embeddings=True,
        rope_scaling=dict(type='dynamic', factor=2.0)), torch.float16, 1, 55),
    'qwen3_yarn': (dict(
        SMALL, architectures=['Qwen3ForCausalLM'], model_type='qwen3', tie_word_embeddings=True,
        sliding_window=None, use_sliding_window=False, max_window_layers=1,
        rope_scaling=dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=64,
                          beta_fast=8.0)), torch.bfloat16, 1, 66),
    'llama3_biases': (dict(
        SMALL, attention_bias=True, tie_word_embeddings=False,
        rope_scaling=dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=64)), torch.bfloat16, 2, 77),
    'llama_linear': (dict(
        SMALL, tie_word_embeddings=True, rope_theta=None,
        rope_parameters=dict(rope_type='linear', rope_theta=500000.0, factor=4.0)),
        torch.float16, 1, 88),
}
TYPE_NAMES = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16'}
TYPES = {name: dtype for dtype, name in TYPE_NAMES.items()}


def full_config(sizes):
    common = dict(architectures=['LlamaForCausalLM'], model_type='llama', vocab_size=VOCAB,
                  max_position_embeddings=512, hidden_act='silu', attention_bias=False,
                  mlp_bias=False, rope_scaling=None, bos_token_id=0, eos_token_id=1)
    return {**common, **sizes}


def head_dim_of(config):
    return config.get('head_dim') or config['hidden_size'] // config['num_attention_heads']


def family_of(config):
    return config['architectures'][0].replace('ForCausalLM', '')


def biased(config):
    """The projections of attention that have a bias."""
    if family_of(config) == 'Qwen2':
        return 'qkv'
    return 'qkvo' if config['attention_bias'] else ''


def window_of(config, layer):
    """Keys a row sees in this layer, itself included; None: all."""
    family = family_of(config)
    if family == 'Mistral':
        return config['sliding_window']
    if family.startswith('Qwen') and config['use_sliding_window']:
        return config['sliding_window'] if layer >= config['max_window_layers'] else None
    return None


def tensor_shapes(config):
    hidden, ffn = config['hidden_size'], config['intermediate_size']
    query = config['num_attention_heads'] * head_dim_of(config)
    kv = config['num_key_value_heads'] * head_dim_of(config)
    shapes = {'model.embed_tokens.weight': (VOCAB, hidden)}
    for i in range(config['num_hidden_layers']):
        layer = f'model.layers.{i}.'
        shapes.update({
            layer + 'input_layernorm.weight': (hidden,),
            layer + 'self_attn.q_proj.weight': (query, hidden),
            layer + 'self_attn.k_proj.weight': (kv, hidden),
            layer + 'self_attn.v_proj.weight': (kv, hidden),
            layer + 'self_attn.o_proj.weight': (hidden, query),
            layer + 'post_attention_layernorm.weight': (hidden,),
            layer + 'mlp.gate_proj.weight': (ffn, hidden),
            layer + 'mlp.up_proj.weight': (ffn, hidden),
            layer + 'mlp.down_proj.weight': (hidden, ffn)})
        for which in biased(config):
            size = {'q': query, 'o': hidden}.get(which, kv)
            shapes[layer + f'self_attn.{which}_proj.bias'] = (size,)
        if family_of(config) == 'Qwen3':
            shapes[layer + 'self_attn.q_norm.weight'] = (head_dim_of(config),)
            shapes[layer + 'self_attn.k_norm.weight'] = (head_dim_of(config),)
    shapes['model.norm.weight'] = (hidden,)
    if not config['tie_word_embeddings']:
        shapes['lm_head.weight'] = (VOCAB, hidden)
    return shapes


def make_weights(config, dtype, seed):
    """Scaled so that attention is far from uniform and every part matters for the logits."""
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in tensor_shapes(config).items():
        values = torch.randn(shape, generator=random)
        if name.endswith('.bias'):
            values = 0.5 * values
        elif len(shape) == 1:
            values = 1 + 0.2 * values
        elif 'q_proj' in name or 'k_proj' in name:
            values = values * (2.0 / shape[1]) ** 0.5
        elif 'embed' not in name:
            values = values * (1.0 / shape[1]) ** 0.5
        weights[name] = values.to(dtype)
    return weights


def write_safetensors(path, tensors):
    header, blobs, offset = {'__metadata__': {'format': 'pt'}}, [], 0
    for name, tensor in tensors.items():
        blob = bytes(tensor.contiguous().view(torch.uint8).reshape(-1).tolist())
        header[name] = dict(dtype=TYPE_NAMES[tensor.dtype], shape=list(tensor.shape),
                            data_offsets=[offset, offset + len(blob)])
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def read_safetensors(path):
    with open(path, 'rb') as f:
        data = f.read()
    length, = struct.unpack_from('<Q', data)
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == '__metadata__':
            continue
        begin, end = (8 + length + x for x in entry['data_offsets'])
        tensors[name] = torch.frombuffer(
            bytearray(data[begin:end]), dtype=TYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors


def write_weights(folder, weights, files):
    names = list(weights)
    if files == 1:
        write_safetensors(os.path.join(folder, 'model.safetensors'), weights)
        return
    index = {}
    for part in range(files):
        shard = f'model-{part + 1:05}-of-{files:05}.safetensors'
        chosen = names[part * len(names) // files:(part + 1) * len(names) // files]
        write_safetensors(os.path.join(folder, shard), {n: weights[n] for n in chosen})
        index.update({n: shard for n in chosen})
    total = sum(t.numel() * t.element_size() for t in weights.values())
    write_json(folder, 'model.safetensors.index.json',
               dict(metadata=dict(total_size=total), weight_map=index))


def write_json(folder, name, value):
    with open(os.path.join(folder, name), 'w', encoding='utf-8') as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write('\n')


def byte_symbols():
    """The character by which byte-level vocabularies spell each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(rest)) for b in range(256)]


def tokenizer_file():
    tokens = SPECIAL + byte_symbols() + [a + b for a, b in MERGES]
    added = [dict(id=i, content=c, single_word=False, lstrip=False, rstrip=False,
                  normalized=False, special=True) for i, c in enumerate(SPECIAL)]
    level = dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=True)
    return dict(version='1.0', truncation=None, padding=None, added_tokens=added, normalizer=None,
                pre_tokenizer=level, post_processor=None, decoder=level,
                model=dict(type='BPE', dropout=None, unk_token=None, byte_fallback=False,
                           vocab={t: i for i, t in enumerate(tokens)},
                           merges=[f'{a} {b}' for a, b in MERGES]))


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rope_frequencies(config, dtype):
    """Angle a position of each pair of channels, and what cosines and sines are taken times. What
    is "kept" of a pair's frequency goes from 1 (as it is) to 0 (divided by the factor)."""
    scaling = config.get('rope_parameters') or config['rope_scaling'] or {}
    theta, dim = config['rope_theta'] or scaling['rope_theta'], head_dim_of(config)
    pair = torch.arange(dim // 2, dtype=dtype)
    plain = theta ** (-pair * 2 / dim)
    kind = scaling.get('rope_type', scaling.get('type', 'default'))
    if kind in ('default', 'dynamic'):  # dynamic: no prompt is longer than the training was
        return plain, 1.0
    factor, times = scaling['factor'], 1.0
    if kind == 'linear':
        kept = torch.zeros_like(plain)
    elif kind == 'llama3':
        low, high = scaling['low_freq_factor'], scaling['high_freq_factor']
        turns = scaling['original_max_position_embeddings'] * plain / (2 * math.pi)
        kept = ((turns - low) / (high - low)).clamp(0, 1)
    elif kind == 'yarn':
        def pair_of(turns):
            length = scaling['original_max_position_embeddings']
            return dim * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

        low = max(math.floor(pair_of(scaling.get('beta_fast', 32))), 0)
        high = min(math.ceil(pair_of(scaling.get('beta_slow', 1))), dim - 1)
        assert low < high
        kept = 1 - ((pair - low) / (high - low)).clamp(0, 1)
        times = 0.1 * math.log(factor) + 1
    return plain * kept + plain / factor * (1 - kept), times


def rotate(x, config):
    """RoPE: x [heads, tokens, head_dim], channel i paired with i + head_dim / 2."""
    half = x.shape[-1] // 2
    frequency, times = rope_frequencies(config, x.dtype)
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * frequency
    a, b = x[..., :half], x[..., half:]
    cos, sin = angle.cos() * times, angle.sin() * times
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def attention(config, weights, layer, x, page_type):
    heads, kv_heads = config['num_attention_heads'], config['num_key_value_heads']
    dim, tokens = head_dim_of(config), x.shape[0]
    name = f'model.layers.{layer}.self_attn.'

    def project(which, count):
        y = x @ weights[name + which + '_proj.weight'].T
        y = y + weights.get(name + which + '_proj.bias', 0)
        y = y.reshape(tokens, count, dim).transpose(0, 1)
        head_norm = weights.get(name + which + '_norm.weight')
        return y if head_norm is None else rms_norm(y, head_norm, config['rms_norm_eps'])

    q, k, v = project('q', heads), project('k', kv_heads), project('v', kv_heads)
    if page_type is not None:
        k, v = k.to(page_type).to(x.dtype), v.to(page_type).to(x.dtype)
    q, k = rotate(q, config), rotate(k, config)
    group = heads // kv_heads
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    scores = q @ k.transpose(1, 2) / dim ** 0.5
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    window = window_of(config, layer)
    if window is not None:
        later |= torch.ones(tokens, tokens, dtype=torch.bool).tril(-window)
    mixed = scores.masked_fill(later, float('-inf')).softmax(-1) @ v
    mixed = mixed.transpose(0, 1).reshape(tokens, -1) @ weights[name + 'o_proj.weight'].T
    return mixed + weights.get(name + 'o_proj.bias', 0)


def forward(config, weights, tokens, page_type=None):
    """Logits [tokens, vocab] in float64."""
    weights = {name: tensor.double() for name, tensor in weights.items()}
    eps = config['rms_norm_eps']
    x = weights['model.embed_tokens.weight'][tokens]
    for i in range(config['num_hidden_layers']):
        layer = f'model.layers.{i}.'
        normed = rms_norm(x, weights[layer + 'input_layernorm.weight'], eps)
        x = x + attention(config, weights, i, normed, page_type)
        normed = rms_norm(x, weights[layer + 'post_attention_layernorm.weight'], eps)
        gate = torch.nn.functional.silu(normed @ weights[layer + 'mlp.gate_proj.weight'].T)
        up = normed @ weights[layer + 'mlp.up_proj.weight'].T
        x = x + (gate * up) @ weights[layer + 'mlp.down_proj.weight'].T
    head = weights.get('lm_head.weight', weights['model.embed_tokens.weight'])
    return rms_norm(x, weights['model.norm.weight'], eps) @ head.T


def all_logits(config, weights, golden, page_type):
    prompts = golden['prompts']
    kept = golden.get('first_rows', [0] * len(prompts))
    rows = [forward(config, weights, torch.tensor(prompt), page_type)[first:]
            for prompt, first in zip(prompts, kept)]
    return torch.cat(rows).float()


def write_model(name):
    sizes, dtype, files, seed = MODELS.get(name) or SMALL_MODELS[name]
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    config = full_config(sizes)
    weights = make_weights(config, dtype, seed)
    random = torch.Generator().manual_seed(seed + 1000)
    prompts = [[0] + torch.randint(2, VOCAB, (n - 1,), generator=random).tolist()
               for n in PROMPT_LENGTHS]
    write_json(folder, 'config.json', config)
    write_json(folder, 'tokenizer.json', tokenizer_file())
    golden = dict(prompts=prompts)
    if name in SMALL_MODELS:
        golden['first_rows'] = FIRST_ROWS
    write_json(folder, 'golden.json', golden)
    write_weights(folder, weights, files)
    for suffix, page_type in (('f32', None), ('bf16', torch.bfloat16)):
        logits = all_logits(config, weights, golden, page_type)
        with open(os.path.join(folder, f'logits_{suffix}.bin'), 'wb') as f:
            f.write(logits.numpy().astype('<f4').tobytes())


def check_model(name):
    folder = os.path.join(HERE, name)

    def load(file):
        with open(os.path.join(folder, file), encoding='utf-8') as f:
            return json.load(f)

    config, golden = load('config.json'), load('golden.json')
    weights = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith('.safetensors'):
            weights.update(read_safetensors(os.path.join(folder, file)))
    worst = 0.0
    for suffix, page_type in (('f32', None), ('bf16', torch.bfloat16)):
        with open(os.path.join(folder, f'logits_{suffix}.bin'), 'rb') as f:
            stored = torch.frombuffer(bytearray(f.read()), dtype=torch.float32)
        logits = all_logits(config, weights, golden, page_type).reshape(-1)
        worst = max(worst, (logits - stored).abs().max().item())
    print(f'{name}: largest difference {worst:.3g}')
    return worst < 1e-5


def main():
    if sys.argv[1:] == ['--check']:
        return 0 if all([check_model(name) for name in [*MODELS, *SMALL_MODELS]]) else 1
    for name in [*MODELS, *SMALL_MODELS]:
        write_model(name)
    return 0


if __name__ == '__main__':
    sys.exit(main())
