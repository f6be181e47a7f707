"""Start values that hold the circuit's skeleton, so that a CPU's few steps suffice to train it.

Embeddings: a mean direction shared by all, one direction per kind of word (name, value, pronoun and
the colon that ends a prompt) and one per attribute, plus noise for the word itself. Heads: layer 0
looks 1 to 4 tokens back; layer 1 looks at the nearest name and writes a code of it; layer 2 looks
at the nearest name too and, for a start, at names with that name four tokens before them, which is how
relations are written, and writes a code of what it finds; later layers match codes with those of layer 1. Matching is over the slow RoPE pairs
only, since it has to hold at any distance; layers from 3 on copy what they look at towards the
output.
"""

import math

import torch

import words
from bpe import Tokenizer
from micro_llama import Config, MicroLlama, rope_tables, rotate

SCALE = 0.05  # of an embedding's entries
SLOW = 1.0 / 500  # radians a token; slower pairs keep a match over the whole prompt


def unit(generator, size):
    x = torch.randn(size, generator=generator)
    return x / x.norm()


def kinds_of_words(tokenizer: Tokenizer):
    """(list of token ids, strength) per shared direction; the first is the names'."""
    def ids(texts):
        return [tokenizer.encode(text)[0] for text in texts]
    values = [v for group in words.VALUES.values() for v in group]
    references = ids(values) + ids(["She", "He"]) + [tokenizer.encode(" a:")[-1]]
    kinds = [ids(words.FEMALE_NAMES + words.MALE_NAMES), references,
             ids(words.FEMALE_NAMES + ["She"]), ids(words.MALE_NAMES + ["He"])]
    return kinds + [ids(group) for group in words.VALUES.values()]


def embeddings(model: MicroLlama, tokenizer: Tokenizer, generator):
    """Fills the table; returns (mean direction, name direction, reference direction, all)."""
    size, vocabulary = model.config.hidden_size, model.config.vocab_size
    mean = unit(generator, size)
    table = torch.randn(vocabulary, size, generator=generator) + 0.7 * math.sqrt(size) * mean
    shared = [mean]
    for strength, members in zip([0.6, 0.6] + [0.3] * 50, kinds_of_words(tokenizer)):
        shared.append(unit(generator, size))
        table[members] += strength * math.sqrt(size) * shared[-1]
    model.model.embed_tokens.weight.copy_(table * SCALE)
    return shared[0], shared[1], shared[2], torch.stack(shared)


def without(matrix: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Rows of a matrix with these directions projected out."""
    basis = torch.linalg.qr(directions.t())[0]
    return matrix - (matrix @ basis) @ basis.t()


def slow_pairs(config: Config) -> torch.Tensor:
    half = torch.arange(0, config.head_dim, 2).float() / config.head_dim
    slow = config.rope_theta ** -half < SLOW
    return torch.cat([slow, slow])


def look_back(config: Config, attention, mean):
    """Query head h of layer 0 peaks h + 1 tokens back."""
    d, per_group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    key = torch.zeros(d)
    key[:3] = 3 ** -0.5
    gain = math.sqrt(24 * math.sqrt(d)) / (0.57 * math.sqrt(config.hidden_size))
    for h in range(config.num_attention_heads):
        g = h // per_group
        cos, sin = rope_tables(torch.tensor([-(h + 1)]), config)
        query = rotate(key[None], cos, sin)[0]
        attention.k_proj.weight[g * d:(g + 1) * d] = gain * key[:, None] * mean[None]
        attention.q_proj.weight[h * d:(h + 1) * d] = gain * query[:, None] * mean[None]


def nearest_name(config: Config, attention, name, reference):
    """The heads of key/value head 0 in layer 1: references look at names, near ones first."""
    d, per_group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    half = torch.arange(0, d, 2).float() / d
    speed = config.rope_theta ** -half
    pattern = ((speed < 0.4) & (speed > 1 / 1500)).float()
    pattern = torch.cat([pattern, torch.zeros(d // 2)]) / pattern.sum().sqrt()
    gain = math.sqrt(14 * math.sqrt(d)) / (0.4 * math.sqrt(config.hidden_size))
    attention.k_proj.weight[:d] = gain * pattern[:, None] * name[None]
    for h in range(per_group):
        attention.q_proj.weight[h * d:(h + 1) * d] = gain * pattern[:, None] * reference[None]


def reader(config: Config, source, head: int) -> torch.Tensor:
    """[D, hidden]: reads back what a head wrote."""
    d = config.head_dim
    read = source.o_proj.weight[:, head * d:(head + 1) * d].t()
    return read / read.norm(dim=1, keepdim=True)


def match_codes(config: Config, attention, group: int, query, key, generator):
    """Queries and keys of a key/value head agree where `query` and `key` read the same code."""
    d, per_group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    spread = torch.randn(d, d, generator=generator) / math.sqrt(d)
    slow = 1.5 * (0.1 + 0.9 * slow_pairs(config)[:, None].float())
    attention.k_proj.weight[group * d:(group + 1) * d] += slow * (spread @ key)
    for h in range(group * per_group, (group + 1) * per_group):
        attention.q_proj.weight[h * d:(h + 1) * d] += slow * (spread @ query)


def projection(config: Config, shared, generator) -> torch.Tensor:
    """[D, hidden] of noise that leaves out what all names share."""
    noise = torch.randn(config.head_dim, config.hidden_size, generator=generator)
    return without(noise / math.sqrt(config.hidden_size), shared)


def copying(config: Config, attention, group: int, project, generator, write: float,
            straight: bool):
    """Values project, outputs bring back: towards the same words if `straight`, else to a code."""
    d, per_group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    size = config.hidden_size
    attention.v_proj.weight[group * d:(group + 1) * d] = project
    for h in range(group * per_group, (group + 1) * per_group):
        code = torch.randn(size, d, generator=generator) / math.sqrt(size)
        attention.o_proj.weight[:, h * d:(h + 1) * d] = write * (project.t() if straight else code)


@torch.no_grad()
def structured_init(model: MicroLlama, tokenizer: Tokenizer, seed: int) -> None:
    config, generator = model.config, torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            deep = name.endswith(("o_proj.weight", "down_proj.weight"))
            spread = 0.02 / math.sqrt(2 * config.num_hidden_layers) if deep else 0.02
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    mean, name, reference, shared = embeddings(model, tokenizer, generator)
    attentions = [layer.self_attn for layer in model.model.layers]
    writes = [0.06, 0.2, 0.2] + [0.3] * (len(attentions) - 3)
    names = projection(config, shared, generator)  # codes that have to match are made by one
    coded = [(0, 1), (1, 0), (2, 0)]  # (layer, key/value head) whose values are such codes
    for index, attention in enumerate(attentions):
        for group in range(config.num_key_value_heads):
            project = names if (index, group) in coded else projection(config, shared, generator)
            copying(config, attention, group, project, generator, writes[index],
                    straight=index >= 2 and (index, group) not in coded)
    look_back(config, attentions[0], mean)
    nearest_name(config, attentions[1], name, reference)
    nearest_name(config, attentions[2], name, reference)
    before = reader(config, attentions[0], config.num_attention_heads - 1)
    person, target = reader(config, attentions[1], 0), reader(config, attentions[2], 0)
    for index, attention in enumerate(attentions[2:], 2):
        for group in range(config.num_key_value_heads):
            query, key = person, person
            if group == 0:
                query, key = (person, before) if index == 2 else (person + target, person)
            match_codes(config, attention, group, query, key, generator)
