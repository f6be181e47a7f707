"""Batches for training: worlds as token ids, many questions a world, and where the answers stand."""

import random
from dataclasses import dataclass
from typing import List, Optional, Tuple

import torch

from bpe import Tokenizer
from generator import FAMILIES, Style, build_world, question_for, second_person
from words import ATTRIBUTES
from world_writer import TOKENS_PER_SENTENCE


ALL = len(ATTRIBUTES)


@dataclass(frozen=True)
class Mix:
    """What the worlds are like, each drawn from its tuple.

    Worlds of few attributes hold many values of one kind, which only the person tells apart. With
    all attributes a value's kind alone answers most questions of a small world, and a model learns
    that and stops.
    """
    attributes: Tuple[int, ...]  # how many kinds of facts a world has
    attributes_planned: Tuple[int, ...]  # same with a planned sentence: something is left to tell
    changes: Tuple[float, ...]  # share of sentences that turn to a new person
    # (share of sentences about the guest, share of people introduced as the guest)
    guests: Tuple[Tuple[float, float], ...]


HARD = Mix((1, 1, 2, 3, 5, ALL), (3, 4, 6, ALL), (0.2, 0.3, 0.5), ((0.12, 0.08), (0.35, 0.2)))
AS_EVALUATED = Mix((1, 3, 5, ALL, ALL, ALL), (4, ALL, ALL, ALL), (0.2, 0.2, 0.2, 0.3),
                   ((0.12, 0.08), (0.12, 0.08), (0.35, 0.2)))


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
    named at `to`; guest_refs the same for what is told of the guest; block_refs (world, question, from, to) inside the block; targets (world, question,
    from, to), where `to` counts the rows of docs and then those of the block: who is asked about in
    the end; answers (world, question, row of the question's last token, row of the value in docs,
    value's id).
    """
    docs: torch.Tensor
    blocks: torch.Tensor
    doc_refs: torch.Tensor
    guest_refs: torch.Tensor
    block_refs: torch.Tensor
    targets: torch.Tensor
    answers: torch.Tensor


@dataclass
class Question:
    text: str
    asked: str  # the person it names
    fact: tuple  # place of the fact that answers it
    relation: Optional[tuple] = None  # place of the sentence that leads to that fact's person


class WorldTokens:
    """One world as token ids, with the rows of its names, pronouns and values."""

    def __init__(self, tokenizer: Tokenizer, world):
        self.tokenizer = tokenizer
        self.ids = [tokenizer.bos]
        self.value_row, self.other_row = {}, {}
        self.refs, self.guest_refs = [], []
        last_name, guest = {}, None
        for c, chunk in enumerate(world.chunks):
            start = len(self.ids)
            self.ids += tokenizer.encode(chunk.text())
            for s, sentence in enumerate(chunk.sentences):
                if sentence.kind == "filler":
                    continue
                row = start + s * TOKENS_PER_SENTENCE
                if sentence.kind in ("named", "relation", "instruction"):
                    last_name[sentence.person] = self.find(row, sentence.person)
                if sentence.kind == "relation":
                    self.other_row[c, s] = self.find(row, sentence.other)
                    continue
                if sentence.kind == "instruction":
                    guest = last_name[sentence.person]
                    continue
                person = guest if sentence.kind == "guest" else last_name[sentence.person]
                self.value_row[c, s] = self.find(row, sentence.value)
                if sentence.kind == "pronoun":
                    self.refs.append((row, person))
                refs = self.guest_refs if sentence.kind == "guest" else self.refs
                refs.append((self.value_row[c, s], person))

    def find(self, row: int, word: str) -> int:
        """Row of a word of the sentence that starts at `row`."""
        sentence = self.ids[row:row + TOKENS_PER_SENTENCE]
        return row + sentence.index(self.tokenizer.encode(word)[0])


def draw_world(rng: random.Random, sizes: List[int], mix: Mix):
    plan, counts = None, mix.attributes
    if len(sizes) > 1 and rng.random() < 0.6:
        family = rng.choice(("pronoun", "two_hops", "instruction"))
        plan, counts = FAMILIES[family](rng, sizes), mix.attributes_planned
    attributes = rng.sample(ATTRIBUTES, rng.choice(counts))
    guest, instruction = rng.choice(mix.guests)
    style = Style(attributes, rng.choice(mix.changes), guest, instruction)
    return build_world(rng, sizes, plan, style)


def choose_questions(rng: random.Random, world, count: int) -> List[Question]:
    """Up to a quarter each over two hops, about the guest and by pronouns over chunk borders."""
    facts, hops = world.told(), world.hops()
    if not facts:
        return []
    guests = world.told(("guest",))
    crossing = [f for f in world.told(("pronoun",)) if world.sentence(f).crosses]
    out = []
    for relation, fact in rng.sample(hops, min(len(hops), count // 4)):
        named = world.sentence(relation)
        text = question_for(world.sentence(fact), rng, second_person(named))
        out.append(Question(text, named.person, fact, relation))
    chosen = rng.sample(guests, min(len(guests), count // 4)) \
        + rng.sample(crossing, min(len(crossing), count // 4))
    rest = [f for f in facts if f not in chosen]
    chosen += rng.sample(rest, min(len(rest), count - len(out) - len(chosen)))
    while len(chosen) + len(out) < count:
        chosen.append(rng.choice(facts))
    for fact in chosen:
        sentence = world.sentence(fact)
        out.append(Question(question_for(sentence, rng), sentence.person, fact))
    return out


def draw_asked_world(rng: random.Random, sizes: List[int], stage: Stage):
    while True:
        world = draw_world(rng, sizes, stage.mix)
        questions = choose_questions(rng, world, stage.questions)
        if questions:
            return world, questions


def make_batch(rng: random.Random, stage: Stage, tokenizer: Tokenizer) -> Batch:
    sizes = [rng.randint(*stage.sentences) for _ in range(rng.randint(*stage.chunks))]
    docs, blocks, doc_refs, guest_refs = [], [], [], []
    block_refs, targets, answers = [], [], []
    for b in range(stage.worlds):
        world, questions = draw_asked_world(rng, sizes, stage)
        tokens = WorldTokens(tokenizer, world)
        docs.append(tokens.ids)
        doc_refs += [(b, row, name) for row, name in tokens.refs]
        guest_refs += [(b, row, name) for row, name in tokens.guest_refs]
        rows = []
        for q, question in enumerate(questions):
            ids = tokenizer.encode(f"Question: {question.text}\nAnswer:")
            last, name = len(ids) - 1, ids.index(tokenizer.encode(question.asked)[0])
            block_refs.append((b, q, last, name))
            targets.append((b, q, last, tokens.other_row[question.relation] if question.relation
                            else len(tokens.ids) + name))
            value = tokenizer.encode(world.sentence(question.fact).value)[0]
            answers.append((b, q, last, tokens.value_row[question.fact], value))
            rows.append(ids + [value])
        blocks.append(rows)
    longest = max(len(row) for rows in blocks for row in rows)
    padded = [[row + [tokenizer.eos] * (longest - len(row)) for row in rows] for rows in blocks]
    return Batch(*(torch.tensor(x) for x in (docs, padded, doc_refs, guest_refs, block_refs, targets,
                                             answers)))
