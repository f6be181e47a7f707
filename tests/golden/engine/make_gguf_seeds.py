#!/usr/bin/python3
"""Small GGUF files for fuzz_gguf to start from: gguf_seeds/byte_level.gguf and pieces.gguf.

One layer of hidden 8, a vocabulary of either kind, and keys of every type that is read, so that
a changed byte often stands where it matters. Needs numpy (Debian: python3-numpy).
"""

import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', '..', 'bench', 'engine'))
import ggml_quantize as ggml  # noqa: E402
import to_gguf as gguf        # noqa: E402

TOKENS = ['<unk>', '<s>', '</s>', '<0x0A>', 'a', 'b', 'ab', 'Ġ', '1', '<x>', '[PAD]']
PIECES = TOKENS[:7] + ['▁', '▁a', '<x>', '[PAD]']
KINDS = [2, 3, 3, 6, 1, 1, 1, 1, 1, 4, 5]


def shapes(architecture):
    out = {'token_embd.weight': (11, 8), 'output.weight': (11, 8), 'output_norm.weight': (8,)}
    layer = {'attn_norm.weight': (8,), 'attn_q.weight': (8, 8), 'attn_k.weight': (4, 8),
             'attn_v.weight': (4, 8), 'attn_output.weight': (8, 8), 'attn_q.bias': (8,),
             'attn_k.bias': (4,), 'attn_v.bias': (4,), 'ffn_norm.weight': (8,),
             'ffn_gate.weight': (32, 8), 'ffn_up.weight': (32, 8), 'ffn_down.weight': (8, 32)}
    if architecture == 'llama':
        out['rope_freqs.weight'] = (2,)
    return {**out, **{'blk.0.' + name: shape for name, shape in layer.items()}}


def model(architecture, vocabulary):
    own = [('block_count', gguf.U32, 1), ('embedding_length', gguf.U32, 8),
           ('feed_forward_length', gguf.U32, 32), ('context_length', gguf.U32, 64),
           ('attention.head_count', gguf.U32, 2), ('attention.head_count_kv', gguf.U32, 1),
           ('attention.layer_norm_rms_epsilon', gguf.F32, 1e-5),
           ('attention.sliding_window', gguf.U32, 16)]
    if architecture != 'llama':
        own += [('rope.scaling.type', gguf.STRING, 'yarn'), ('rope.scaling.factor', gguf.F32, 4.0)]
    keys = [('general.architecture', gguf.STRING, architecture)]
    keys += [(f'{architecture}.{key}', kind, value) for key, kind, value in own]
    keys += [('tokenizer.ggml.' + key, kind, value) for key, kind, value in vocabulary]
    keys += [('tokenizer.ggml.token_type', gguf.I32, KINDS),
             ('tokenizer.chat_template', gguf.STRING, '{{ messages }}')]
    random = np.random.default_rng(1)
    tensors = []
    for name, shape in shapes(architecture).items():
        values = random.uniform(0.5, 1.5, shape).astype(np.float32)
        kind = ggml.Q8_0 if name.endswith('down.weight') else ggml.F32
        tensors.append((name, kind, shape[::-1], ggml.pack(values, kind)))
    return keys, tensors


def main():
    folder = os.path.join(HERE, 'gguf_seeds')
    os.makedirs(folder, exist_ok=True)
    byte_level = [('model', gguf.STRING, 'gpt2'), ('pre', gguf.STRING, 'default'),
                  ('tokens', gguf.STRING, TOKENS), ('merges', gguf.STRING, ['a b']),
                  ('bos_token_id', gguf.U32, 1), ('eos_token_id', gguf.U32, 2),
                  ('add_space_prefix', gguf.BOOL, True)]
    pieces = [('model', gguf.STRING, 'llama'), ('tokens', gguf.STRING, PIECES),
              ('scores', gguf.F32, [-float(i) for i in range(11)])]
    gguf.write(os.path.join(folder, 'byte_level.gguf'), *model('qwen2', byte_level))
    gguf.write(os.path.join(folder, 'pieces.gguf'), *model('llama', pieces))


if __name__ == '__main__':
    main()
