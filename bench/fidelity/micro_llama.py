"""LlamaForCausalLM in plain PyTorch, with Hugging Face's tensor names as parameter names.

Shapes: B prompts, T rows, H query heads, G key/value heads, R = H / G, D values a head. Query head h
reads key/value head h // R. Keys are handed around before RoPE.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab_size: int
    hidden_size: int = 192
    intermediate_size: int = 512
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    rms_norm_eps: float = 1e-5
    rope_theta: float = 500000.0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def rope_tables(positions: torch.Tensor, config: Config):
    """cos and sin [T, D/2] of positions [T]."""
    half = torch.arange(0, config.head_dim, 2).float() / config.head_dim
    angles = positions.float()[:, None] * config.rope_theta ** -half[None]
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """RoPE on [..., T, D], halves paired as Hugging Face does."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class RmsNorm(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.eps = config.rms_norm_eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        kv_size = config.num_key_value_heads * config.head_dim
        self.config = config
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, False)

    def queries(self, y):
        """[B, T, hidden] -> [B, H, T, D], not rotated."""
        return self.q_proj(y).view(*y.shape[:2], -1, self.config.head_dim).transpose(1, 2)

    def keys_values(self, y):
        """[B, T, hidden] -> two of [B, G, T, D], keys not rotated."""
        k, v = (p(y).view(*y.shape[:2], -1, self.config.head_dim).transpose(1, 2)
                for p in (self.k_proj, self.v_proj))
        return k, v

    def group(self, q):
        """[B, H, T, D] -> [B, G, R*T, D], the queries of one key/value head side by side."""
        groups = self.config.num_key_value_heads
        return q.reshape(q.shape[0], groups, -1, q.shape[-1])

    def ungroup(self, x):
        """[B, G, R*T, W] -> [B, H, T, W]."""
        return x.reshape(x.shape[0], self.config.num_attention_heads, -1, x.shape[-1])

    def scores(self, q, k):
        """Rotated [B, H, T, D] and [B, G, S, D] -> [B, H, T, S]."""
        return self.ungroup(self.group(q) @ k.transpose(-1, -2)) / math.sqrt(self.config.head_dim)

    def mix(self, weights, v):
        """[B, H, T, S] and [B, G, S, D] -> [B, H, T, D]."""
        return self.ungroup(self.group(weights) @ v)

    def output(self, heads):
        """[B, H, T, D] -> [B, T, hidden]."""
        return self.o_proj(heads.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, False)

    def forward(self, y):
        return self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Layer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.input_layernorm = RmsNorm(config)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config)
        self.mlp = Mlp(config)

    def finish(self, x, heads):
        """The layer after its attention: x [B, T, hidden], heads [B, H, T, D]."""
        x = x + self.self_attn.output(heads)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RmsNorm(config)


class MicroLlama(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.model = Body(config)

    def logits(self, x):
        return self.model.norm(x) @ self.model.embed_tokens.weight.t()

    def keys_values(self, tokens):
        """K before RoPE and V, [G, T, D] per layer, of tokens computed from position 0."""
        x = self.model.embed_tokens(torch.tensor([tokens]))
        rows = torch.arange(len(tokens))
        cos, sin = rope_tables(rows, self.config)
        mask = rows[None] <= rows[:, None]
        kept = []
        for layer in self.model.layers:
            attention, y = layer.self_attn, layer.input_layernorm(x)
            k, v = attention.keys_values(y)
            kept.append((k[0], v[0]))
            q = rotate(attention.queries(y), cos, sin)
            scores = attention.scores(q, rotate(k, cos, sin)).masked_fill(~mask, -1e9)
            x = layer.finish(x, attention.mix(scores.softmax(-1), v))
        return kept

    def linked_logits(self, tokens, cached, rows):
        """Logits of the last row: `rows` are computed, the others taken from `cached`, in one pass.

        cached: (K before RoPE, V) per layer, [G, T, D]; the last row has to be in `rows`.
        """
        rows = torch.tensor(rows)
        everything = torch.arange(len(tokens))
        x = self.model.embed_tokens(torch.tensor([tokens]))[:, rows]
        cos, sin = rope_tables(everything, self.config)
        mask = everything[None] <= rows[:, None]
        for layer, (k_kept, v_kept) in zip(self.model.layers, cached):
            attention, y = layer.self_attn, layer.input_layernorm(x)
            k_new, v_new = attention.keys_values(y)
            k, v = k_kept[None].clone(), v_kept[None].clone()
            k[:, :, rows], v[:, :, rows] = k_new, v_new
            q = rotate(attention.queries(y), cos[rows], sin[rows])
            scores = attention.scores(q, rotate(k, cos, sin)).masked_fill(~mask, -1e9)
            x = layer.finish(x, attention.mix(scores.softmax(-1), v))
        return self.logits(x)[0, -1]

    def last_logits(self, tokens):
        """Logits [V] of the last row with full attention."""
        shape = (self.config.num_key_value_heads, len(tokens), self.config.head_dim)
        empty = [(torch.zeros(shape), torch.zeros(shape))] * self.config.num_hidden_layers
        return self.linked_logits(tokens, empty, list(range(len(tokens))))
