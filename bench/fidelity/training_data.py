"""Batches for training: worlds as token ids, many questions a world, and where the answers stand."""

import random
from dataclasses import dataclass
from typing import List, Tuple

import torch

from bpe import Tokenizer
from generator import FAMILIES, TOKENS_PER_SENTENCE, build_world, question_for
from words import ATTRIBUTES


ALL = len(ATTRIBUTES)


@dataclass(frozen=True)
class Mix:
    """What the worlds are like, each drawn from its tuple.

    Worlds of few attributes hold many values of one kind, which only the person tells apart. With
    all attributes a value's kind alone answers most questions of a small world, and a model learns
    that and stops.
    """
    attributes: Tuple[int, ...]  # how many kinds of facts a world has
    attributes_carried: Tuple[int, ...]  # same with a planned pronoun: some are left after the cut
    changes: Tuple[float, ...]  # share of sentences that turn to a new person


HARD = Mix((1, 1, 2, 3, 5, ALL), (3, 4, 6, ALL), (0.2, 0.3, 0.5))
AS_EVALUATED = Mix((1, 3, 5, ALL, ALL, ALL), (4, ALL, ALL, ALL), (0.2, 0.2, 0.2, 0.3))


@dataclass
class Stage:
    """Sizes of the worlds of one stage of the curriculum."""
    chunks: Tuple[int, int]
    sentences: Tuple[int, int]
    worlds: int
    questions: int
    mix: Mix = HARD


STAGES = [
    Stage((1, 1), (2, 4), 24, 3),
    Stage((1, 1), (4, 8), 12, 6),
    Stage((2, 2), (3, 6), 8, 8),
    Stage((3, 3), (5, 10), 4, 12),
    Stage((5, 5), (8, 15), 2, 16),
    Stage((8, 8), (8, 15), 1, 32),
    Stage((6, 14), (8, 15), 1, 32),
    Stage((6, 11), (8, 15), 1, 32, AS_EVALUATED),
]


@dataclass
class Batch:
    """docs [B, T] with the BOS; blocks [B, Q, L]: question, answer, padding.

    Index lists, one row an item: doc_refs (world, from, to) for values and pronouns whose person is
    named at `to`; block_refs (world, question, from, to) inside the block; answers (world, question,
    row of the question's last token, row of the value in docs, value's id).
    """
    docs: torch.Tensor
    blocks: torch.Tensor
    doc_refs: torch.Tensor
    block_refs: torch.Tensor
    answers: torch.Tensor


class WorldTokens:
    """One world as token ids, with the rows of its names, pronouns and values."""

    def __init__(self, tokenizer: Tokenizer, world):
        self.ids = [tokenizer.bos]
        self.value_row, self.refs, last_name = {}, [], {}
        for c, chunk in enumerate(world.chunks):
            start = len(self.ids)
            self.ids += tokenizer.encode(chunk.text())
            for s, sentence in enumerate(chunk.sentences):
                if sentence.kind == "filler":
                    continue
                row = start + s * TOKENS_PER_SENTENCE
                value = row + self.ids[row:row + TOKENS_PER_SENTENCE].index(
                    tokenizer.encode(sentence.value)[0])
                self.value_row[c, s] = value
                if sentence.kind == "named":
                    last_name[sentence.person] = row
                else:
                    self.refs.append((row, last_name[sentence.person]))
                self.refs.append((value, last_name[sentence.person]))


def draw_world(rng: random.Random, sizes: List[int], mix: Mix):
    plan, counts = None, mix.attributes
    if len(sizes) > 1 and rng.random() < 0.5:
        plan, counts = FAMILIES["pronoun"](rng, sizes), mix.attributes_carried
    attributes = rng.sample(ATTRIBUTES, rng.choice(counts))
    return build_world(rng, sizes, plan, attributes, rng.choice(mix.changes))


def choose_facts(rng: random.Random, world, count: int):
    """Half of the questions about people named in an earlier chunk, where there are such."""
    crossing = [f for f in world.facts if world.sentence(f).crosses]
    chosen = rng.sample(crossing, min(len(crossing), count // 2))
    rest = [f for f in world.facts if f not in chosen]
    chosen += rng.sample(rest, min(len(rest), count - len(chosen)))
    while len(chosen) < count:
        chosen.append(rng.choice(world.facts))
    return chosen


def make_batch(rng: random.Random, stage: Stage, tokenizer: Tokenizer) -> Batch:
    sizes = [rng.randint(*stage.sentences) for _ in range(rng.randint(*stage.chunks))]
    docs, blocks, doc_refs, block_refs, answers = [], [], [], [], []
    for b in range(stage.worlds):
        world = draw_world(rng, sizes, stage.mix)
        tokens = WorldTokens(tokenizer, world)
        docs.append(tokens.ids)
        doc_refs += [(b, row, name) for row, name in tokens.refs]
        rows = []
        for q, place in enumerate(choose_facts(rng, world, stage.questions)):
            sentence = world.sentence(place)
            ids = tokenizer.encode(f"Question: {question_for(sentence, rng)}\nAnswer:")
            name = ids.index(tokenizer.encode(sentence.person)[0])
            block_refs.append((b, q, len(ids) - 1, name))
            value = tokenizer.encode(sentence.value)[0]
            answers.append((b, q, len(ids) - 1, tokens.value_row[place], value))
            rows.append(ids + [value])
        blocks.append(rows)
    longest = max(len(row) for rows in blocks for row in rows)
    padded = [[row + [tokenizer.eos] * (longest - len(row)) for row in rows] for rows in blocks]
    return Batch(*(torch.tensor(x) for x in (docs, padded, doc_refs, block_refs, answers)))
