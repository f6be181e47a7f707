#!/usr/bin/env python3
"""Generated documents in plain English with one question whose answer is known.

A world is a list of chunks (8 unless told otherwise); a chunk is a run of sentences and ends in its
separator: a space where a document was cut between sentences, a newline where a document ends.

What is regular here and is not in real text, and why: every sentence is exactly eight tokens of the
micro model's tokenizer, full stop included. Sentences therefore start at rows 0, 8, 16, ... of their
chunk, and a sentence that starts inside the first 16 rows also ends there. Answers are read at the
value's token, so `first-k` with k = 16 either recomputes the whole dependent sentence or nothing of
it, and a split of the results into inside / beyond k has no doubtful cases.

Families (FAMILIES is the registry):
  one_fact  the answer stands in a sentence that names its person;
  pronoun   the answer stands in a sentence that says "She" or "He" in chunk c >= 1; the person is
            the last one named in chunk c-1, and chunk c names nobody before that sentence.

Usage: generator.py --family pronoun --worlds 500 --seed 7 > worlds.jsonl
       generator.py --demo conf/demo
"""

import argparse
import json
import random
import sys
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from words import (ATTRIBUTES, FEMALE_NAMES, FILLER_ADJECTIVES, FILLER_ENDINGS, FILLER_FIXED,
                   FILLER_PLACES, MALE_NAMES, QUESTIONS, STATEMENTS, VALUES)

TOKENS_PER_SENTENCE = 8
MIN_SENTENCES, MAX_SENTENCES = 8, 15  # 65 to 121 tokens with the separator
CARRY_PROBABILITY = 0.5  # how often a chunk goes on about the last person of the chunk before
FILLER_SHARE = 0.35
CHANGE_SHARE = 0.2  # of the sentences turn to a new person


@dataclass
class Sentence:
    text: str
    kind: str  # "filler", "named", "pronoun"
    person: Optional[str] = None
    attribute: Optional[str] = None
    value: Optional[str] = None
    crosses: bool = False  # a pronoun whose person stands in the chunk before


@dataclass
class Chunk:
    sentences: List[Sentence]
    separator: str = " "

    def text(self) -> str:
        return " ".join(s.text for s in self.sentences) + self.separator

    def offset_of(self, slot: int) -> int:
        return sum(len(s.text) + 1 for s in self.sentences[:slot])


@dataclass
class Plan:
    """What a family demands of a world: one sentence of this kind at this place."""
    chunk: int
    slot: int
    kind: str


@dataclass
class World:
    chunks: List[Chunk]
    facts: List[Tuple[int, int]] = field(default_factory=list)  # (chunk, slot) of statements

    def sentence(self, place: Tuple[int, int]) -> Sentence:
        return self.chunks[place[0]].sentences[place[1]]


class Writer:
    """Writes the sentences of one world; nobody is told the same kind of fact twice."""

    def __init__(self, rng: random.Random, attributes: Sequence[str] = ATTRIBUTES,
                 change: float = CHANGE_SHARE):
        self.rng, self.attributes, self.change = rng, attributes, change
        self.unused = {"She": rng.sample(FEMALE_NAMES, len(FEMALE_NAMES)),
                       "He": rng.sample(MALE_NAMES, len(MALE_NAMES))}
        self.pronoun = rng.choice(("She", "He"))
        self.person: Optional[str] = None
        self.free: List[str] = []

    def filler(self) -> Sentence:
        rng = self.rng
        if rng.random() < 0.2:
            return Sentence(rng.choice(FILLER_FIXED), "filler")
        return Sentence(f"The {rng.choice(FILLER_ADJECTIVES)} {rng.choice(FILLER_PLACES)} "
                        f"{rng.choice(FILLER_ENDINGS)}.", "filler")

    def introduce(self) -> Sentence:
        if self.rng.random() < 0.65:
            self.pronoun = "He" if self.pronoun == "She" else "She"
        if not self.unused[self.pronoun]:
            self.pronoun = max(self.unused, key=lambda p: len(self.unused[p]))
        self.meet(self.unused[self.pronoun].pop())
        return self.state("named")

    def meet(self, person: str, told_first: Optional[str] = None) -> None:
        """Makes this the person written about; `told_first` is the attribute of the next fact."""
        self.person = person
        self.pronoun = "She" if person in FEMALE_NAMES else "He"
        self.free = self.rng.sample(self.attributes, len(self.attributes))
        if told_first:
            self.free.sort(key=lambda attribute: attribute == told_first)

    def state(self, kind: str, crosses: bool = False, value: Optional[str] = None) -> Sentence:
        """The next fact about the person, or filler where everything is told."""
        if not self.free:
            return self.filler()
        attribute = self.free.pop()
        value = value or self.rng.choice(VALUES[attribute])
        pattern = self.rng.choice(STATEMENTS[attribute])
        subject = self.person if kind == "named" else self.pronoun
        return Sentence(pattern.replace("{S}", subject).replace("{v}", value), kind, self.person,
                        attribute, value, crosses)

    def carried(self, count: int, pronoun_at: Optional[int]) -> List[Sentence]:
        """`count` sentences about the last person, by pronoun, and filler."""
        keep = self.free.pop() if pronoun_at is not None else None
        out = []
        for slot in range(count):
            if slot == pronoun_at:
                self.free.append(keep)
                out.append(self.state("pronoun", crosses=True))
            elif self.rng.random() < FILLER_SHARE:
                out.append(self.filler())
            else:
                out.append(self.state("pronoun", crosses=True))
        return out

    def runs(self, count: int, named_at: Optional[int], fresh: bool = True) -> List[Sentence]:
        """`count` sentences about people in turn; the first names a new one if `fresh`."""
        out = []
        for slot in range(count):
            draw = self.rng.random()
            if (fresh and slot == 0) or slot == named_at or draw < self.change:
                out.append(self.introduce())
            elif draw < self.change + FILLER_SHARE:
                out.append(self.filler())
            else:
                out.append(self.state("named" if draw > 0.85 else "pronoun"))
        return out


def choose_lead(rng: random.Random, writer: Writer, size: int, planned: Optional[Plan]) -> int:
    """How many sentences of a chunk go on about the last person of the chunk before.

    Every chunk but one with a planned pronoun names somebody itself, so that the next may go on.
    """
    if planned and planned.kind == "pronoun":
        return rng.randint(planned.slot + 1, size)
    room = planned.slot if planned else size - 1
    if rng.random() >= CARRY_PROBABILITY or room < 1:
        return 0
    lead = rng.randint(1, room)
    return lead if writer.free else 0


def build_world(rng: random.Random, sizes: List[int], plan: Optional[Plan] = None,
                attributes: Sequence[str] = ATTRIBUTES, change: float = CHANGE_SHARE) -> World:
    """A world with sizes[i] sentences in chunk i, about these attributes only."""
    writer = Writer(rng, attributes, change)
    world = World([])
    named_before = False  # the chunk before names somebody
    for index, size in enumerate(sizes):
        planned = plan if plan and plan.chunk == index else None
        wants_pronoun = planned is not None and planned.kind == "pronoun"
        lead = 0
        if named_before or wants_pronoun:
            lead = choose_lead(rng, writer, size, planned)
        if wants_pronoun and not writer.free:  # nothing is left to tell about the person
            return build_world(rng, sizes, plan, attributes, change)
        named_at = planned.slot - lead if planned and not wants_pronoun else None
        sentences = writer.carried(lead, planned.slot if wants_pronoun else None)
        sentences += writer.runs(size - lead, named_at)
        if lead:
            world.chunks[-1].separator = " "
        named_before = lead < size
        world.chunks.append(Chunk(sentences, rng.choice((" ", "\n"))))
    world.chunks[-1].separator = "\n"
    world.facts = [(c, s) for c, chunk in enumerate(world.chunks)
                   for s, sentence in enumerate(chunk.sentences) if sentence.kind != "filler"]
    return world


def question_for(sentence: Sentence, rng: random.Random) -> str:
    return rng.choice(QUESTIONS[sentence.attribute]).replace("{S}", sentence.person)


def plan_one_fact(rng: random.Random, sizes: List[int]) -> Plan:
    chunk = rng.randrange(len(sizes))
    return Plan(chunk, rng.randrange(sizes[chunk]), "named")


def plan_pronoun(rng: random.Random, sizes: List[int]) -> Plan:
    chunk = rng.randrange(1, len(sizes))
    return Plan(chunk, rng.randrange(sizes[chunk]), "pronoun")


# family -> chooses the dependent sentence of a world with these chunk sizes
FAMILIES: Dict[str, Callable[[random.Random, List[int]], Plan]] = {
    "one_fact": plan_one_fact,
    "pronoun": plan_pronoun,
}


def draw_sizes(rng: random.Random, chunks: int) -> List[int]:
    return [rng.randint(MIN_SENTENCES, MAX_SENTENCES) for _ in range(chunks)]


def make_example(family: str, rng: random.Random, chunks: int = 8) -> dict:
    """One world and its question, in the shape the command line prints."""
    sizes = draw_sizes(rng, chunks)
    plan = FAMILIES[family](rng, sizes)
    world = build_world(rng, sizes, plan)
    sentence = world.sentence((plan.chunk, plan.slot))
    return {
        "family": family,
        "chunks": [chunk.text() for chunk in world.chunks],
        "question": question_for(sentence, rng),
        "answer": sentence.value,
        "dependent_chunk": plan.chunk,
        "dependent_char": world.chunks[plan.chunk].offset_of(plan.slot),
    }


def examples(family: str, worlds: int, seed: int, chunks: int = 8):
    """World i depends on (family, seed, i) alone, so any prefix of a run is the same."""
    for index in range(worlds):
        yield make_example(family, random.Random(f"{family}/{seed}/{index}"), chunks)


def prompt_segments(example: dict) -> List[str]:
    """Texts that are tokenised separately; one BOS goes in front of the first."""
    return example["chunks"] + [f"Question: {example['question']}\nAnswer:"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=sorted(FAMILIES))
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--chunks", type=int, default=8, help="2 to 14")
    parser.add_argument("--demo", metavar="DIR", help="write the demo documents there instead")
    args = parser.parse_args()
    if args.demo:
        from demo_documents import write_demo
        write_demo(args.demo)
        return 0
    if not args.family:
        parser.error("--family is needed unless --demo is given")
    if not 2 <= args.chunks <= 14:
        parser.error(f"--chunks {args.chunks}: expected 2 to 14")
    for example in examples(args.family, args.worlds, args.seed, args.chunks):
        print(json.dumps(example))
    return 0


if __name__ == "__main__":
    sys.exit(main())
