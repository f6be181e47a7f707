#!/usr/bin/python3
"""Golden logits for GGUF files, by PyTorch (Debian: python3-torch, python3-numpy).

For each model a directory gguf_NAME beside this file with model.gguf, written by
bench/engine/to_gguf.py from seeded weights, and golden.json, logits_f32.bin and logits_bf16.bin as
make_goldens.py has them. The logits come from the file alone: it is read and its blocks are widened
here, by code that shares nothing with the writer or the engine, and the pass is that of
make_goldens.py, in float64.

  make_gguf_goldens.py           writes everything anew
  make_gguf_goldens.py --check   reads the files and recomputes the logits; exits 1 if they differ
"""

import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

import make_goldens as hf

HERE = os.path.dirname(os.path.abspath(__file__))
WRITER = os.path.join(HERE, '..', '..', '..', 'bench', 'engine', 'to_gguf.py')

# Rows of 32 and of 256, so that blocks of every type fit.
SMALL = dict(hf.SMALL, hidden_size=32)
LARGE = dict(hf.SMALL, num_hidden_layers=1, hidden_size=256, intermediate_size=256)
MISTRAL = dict(architectures=['MistralForCausalLM'], model_type='mistral', sliding_window=20)
QWEN2 = dict(architectures=['Qwen2ForCausalLM'], model_type='qwen2', use_sliding_window=False)
QWEN3 = dict(architectures=['Qwen3ForCausalLM'], model_type='qwen3', use_sliding_window=False)
LLAMA3 = dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=64, beta_fast=8.0)

# name -> configuration, type of the file, seed
MODELS = {
    'llama_f32': (dict(SMALL, attention_bias=True, tie_word_embeddings=False,
                       rope_scaling=LLAMA3), 'f32', 101),
    'mistral_f16': (dict(SMALL, **MISTRAL, tie_word_embeddings=False), 'f16', 102),
    'qwen3_bf16': (dict(SMALL, **QWEN3, tie_word_embeddings=True, rope_scaling=YARN), 'bf16', 103),
    'llama_q8_0': (dict(SMALL, tie_word_embeddings=True, rope_scaling=dict(
        rope_type='linear', factor=4.0)), 'q8_0', 104),
    'qwen2_q4_0': (dict(SMALL, **QWEN2, tie_word_embeddings=True), 'q4_0', 105),
    'llama_q4_k': (dict(LARGE, tie_word_embeddings=True), 'q4_k', 106),
    'qwen3_q6_k': (dict(LARGE, **QWEN3, tie_word_embeddings=True), 'q6_k', 107),
}


# ------------------------------------------------------------------ reading
class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from('<' + layout, self.data, self.at)
        self.at += struct.calcsize('<' + layout)
        return values if len(values) > 1 else values[0]

    def text(self):
        length = self.take('Q')
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, count = self.take('IQ')
            return [self.value(kind) for _ in range(count)]
        return self.take({0: 'B', 1: 'b', 2: 'H', 3: 'h', 4: 'I', 5: 'i', 6: 'f', 7: '?', 10: 'Q',
                          11: 'q', 12: 'd'}[kind])


def bits(values, shift, mask):
    return (values >> shift & mask).astype(np.float64)


def halves(raw):
    return raw.copy().view('<f2').astype(np.float64)


def signed(raw):
    return raw.astype(np.uint8).view(np.int8).astype(np.float64)


def widen_q8_0(block):
    return halves(block[:, :2]) * signed(block[:, 2:])


def widen_q4_0(block):
    nibbles = np.concatenate((bits(block[:, 2:], 0, 15), bits(block[:, 2:], 4, 15)), 1)
    return halves(block[:, :2]) * (nibbles - 8)


def widen_q4_k(block):
    d, least, packed = halves(block[:, 0:2]), halves(block[:, 2:4]), block[:, 4:16]
    out = []
    for group in range(8):
        if group < 4:
            scale, offset = packed[:, group] & 63, packed[:, group + 4] & 63
        else:
            scale = packed[:, group + 4] & 15 | packed[:, group - 4] >> 6 << 4
            offset = packed[:, group + 4] >> 4 | packed[:, group] >> 6 << 4
        data = block[:, 16 + group // 2 * 32:][:, :32]
        nibbles = bits(data, 4 * (group % 2), 15)
        # ggml takes the difference in f32, the one place where it rounds.
        exact = d * scale[:, None] * nibbles - least * offset[:, None]
        out.append(exact.astype(np.float32).astype(np.float64))
    return np.concatenate(out, 1)


def widen_q6_k(block):
    low, high, scales, d = block[:, :128], block[:, 128:192], block[:, 192:208], block[:, 208:]
    out = np.zeros((len(block), 256))
    for value in range(256):
        half, quarter, column = value // 128, value % 128 // 32, value % 32
        small = low[:, half * 64 + quarter % 2 * 32 + column] >> 4 * (quarter // 2) & 15
        large = high[:, half * 32 + column] >> 2 * quarter & 3
        step = halves(d)[:, 0] * signed(scales[:, value // 16])
        out[:, value] = (step * (small + 16.0 * large - 32)).astype(np.float32)
    return out


def widen_bf16(block):
    return (block.copy().view('<u2').astype('<u4') << 16).view('<f4').astype(np.float64)


# ggml's number -> values and bytes of a block, and what they are
BLOCKS = {0: (1, 4, lambda b: b.copy().view('<f4').astype(np.float64)), 1: (1, 2, halves),
          30: (1, 2, widen_bf16), 8: (32, 34, widen_q8_0), 2: (32, 18, widen_q4_0),
          12: (256, 144, widen_q4_k), 14: (256, 210, widen_q6_k)}
STEMS = {'token_embd': 'model.embed_tokens', 'output_norm': 'model.norm', 'output': 'lm_head',
         'attn_norm': 'input_layernorm', 'attn_q': 'self_attn.q_proj',
         'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj',
         'attn_output': 'self_attn.o_proj', 'attn_q_norm': 'self_attn.q_norm',
         'attn_k_norm': 'self_attn.k_norm', 'ffn_norm': 'post_attention_layernorm',
         'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj'}


def read_gguf(path):
    """Values, and tensors as float64 arrays in the file's order of rows."""
    with open(path, 'rb') as f:
        reader = Reader(f.read())
    magic, version, count, keys = reader.take('4sIQQ')
    assert magic == b'GGUF' and version == 3
    values = {}
    for _ in range(keys):
        name = reader.text()
        values[name] = reader.value(reader.take('I'))
    infos = []
    for _ in range(count):
        name, rank = reader.text(), reader.take('I')
        dimensions = [reader.take('Q') for _ in range(rank)]
        infos.append((name, dimensions[::-1], *reader.take('IQ')))
    alignment = values['general.alignment']
    start = (reader.at + alignment - 1) // alignment * alignment
    tensors = {}
    for name, shape, kind, offset in infos:
        per_block, size, widen = BLOCKS[kind]
        blocks = np.prod(shape) // per_block
        raw = np.frombuffer(reader.data, np.uint8, blocks * size, start + offset)
        tensors[name] = widen(raw.reshape(blocks, size)).reshape(shape)
    return values, tensors


def hugging_face(tensors, values):
    """The same under Hugging Face's names and in its order of rows, as torch tensors."""
    architecture = values['general.architecture']
    heads = {'attn_q': values[architecture + '.attention.head_count'],
             'attn_k': values[architecture + '.attention.head_count_kv']}
    out = {}
    for name, array in tensors.items():
        stem, ending = name.rsplit('.', 1)
        layer = ''
        if stem.startswith('blk.'):
            _, number, stem = stem.split('.')
            layer = f'model.layers.{number}.'
        if stem not in STEMS:
            continue
        if architecture == 'llama' and stem in heads:
            rows = array.shape[0] // heads[stem]
            pairs = array.reshape(heads[stem], rows // 2, 2, -1)
            array = np.concatenate((pairs[:, :, 0], pairs[:, :, 1]), 1).reshape(array.shape)
        out[layer + STEMS[stem] + '.' + ending] = torch.from_numpy(array.copy())
    return out


# ------------------------------------------------------------------ goldens
def logits_of(folder, config, golden, page_type):
    weights = hugging_face(*reversed(read_gguf(os.path.join(folder, 'model.gguf'))))
    return hf.all_logits(config, weights, golden, page_type)


def config_of(name):
    return hf.full_config(MODELS[name][0])


def write_model(name):
    config, (_, kind, seed) = config_of(name), MODELS[name]
    folder = os.path.join(HERE, 'gguf_' + name)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        hf.write_json(made, 'config.json', config)
        hf.write_json(made, 'tokenizer.json', hf.tokenizer_file())
        hf.write_weights(made, hf.make_weights(config, torch.float32, seed), 1)
        out = os.path.join(folder, 'model.gguf')
        if os.path.exists(out):
            os.remove(out)
        subprocess.run([sys.executable, WRITER, made, out, '--type', kind], check=True)
    random = torch.Generator().manual_seed(seed + 1)
    prompts = [[0] + torch.randint(2, hf.VOCAB, (length - 1,), generator=random).tolist()
               for length in hf.PROMPT_LENGTHS]
    golden = dict(prompts=prompts, first_rows=hf.FIRST_ROWS)
    hf.write_json(folder, 'golden.json', golden)
    for suffix, page_type in (('f32', None), ('bf16', torch.bfloat16)):
        logits = logits_of(folder, config, golden, page_type)
        with open(os.path.join(folder, f'logits_{suffix}.bin'), 'wb') as f:
            f.write(logits.numpy().astype('<f4').tobytes())


def check_model(name):
    folder = os.path.join(HERE, 'gguf_' + name)
    with open(os.path.join(folder, 'golden.json'), encoding='utf-8') as f:
        golden = json.load(f)
    worst = 0.0
    for suffix, page_type in (('f32', None), ('bf16', torch.bfloat16)):
        stored = np.fromfile(os.path.join(folder, f'logits_{suffix}.bin'), '<f4')
        found = logits_of(folder, config_of(name), golden, page_type).reshape(-1).numpy()
        worst = max(worst, float(np.abs(found - stored).max()))
    print(f'{name}: largest difference {worst:.3g}')
    return worst < 1e-5


def main():
    if sys.argv[1:] == ['--check']:
        return 0 if all([check_model(name) for name in MODELS]) else 1
    for name in MODELS:
        write_model(name)
    return 0


if __name__ == '__main__':
    sys.exit(main())
