#!/usr/bin/env python3
"""Generated documents in plain English with one question whose answer is known.

A world is a list of chunks (8 unless told otherwise); a chunk is a run of sentences and ends in its
separator: a space where a document was cut between sentences, a newline where a document ends.

What is regular here and is not in real text, and why: every sentence is exactly eight tokens of the
micro model's tokenizer, full stop included. Sentences therefore start at rows 0, 8, 16, ... of their
chunk, and a sentence that starts inside the first 16 rows also ends there. Answers are read at the
value's token, so `first-k` with k = 16 either recomputes the whole dependent sentence or nothing of
it, and a split of the results into inside / beyond k has no doubtful cases.

Families (FAMILIES is the registry); the dependent sentence is the last one the answer needs:
  one_fact     the answer stands in a sentence that names its person;
  pronoun      the answer stands in a sentence that says "She" or "He" in chunk c >= 1; the person
               is the last one named in chunk c-1, and chunk c names nobody before that sentence;
  two_hops     one chunk says who somebody's cousin, friend, ... is, another chunk, before or after
               it, tells the fact about that second person;
  instruction  the answer stands in a sentence about "the guest"; an earlier chunk says who is meant
               by that from there on.

With --templates held-out every sentence and question is written with patterns that no training
world contains.

Usage: generator.py --family pronoun --worlds 500 --seed 7 > worlds.jsonl
       generator.py --demo conf/demo
"""

import argparse
import json
import random
import sys
from typing import Callable, Dict, List

from words import QUESTIONS, RELATION_PERSON, TEMPLATES
from world_writer import (Place, Sentence, Style, TOKENS_PER_SENTENCE,  # noqa: F401
                          World, build_world)

MIN_SENTENCES, MAX_SENTENCES = 8, 15  # 65 to 121 tokens with the separator


def question_for(sentence: Sentence, rng: random.Random, person: str = "",
                 templates: str = "trained") -> str:
    """Asks for the sentence's value, of its person or of `person`."""
    pattern = rng.choice(TEMPLATES[templates](QUESTIONS[sentence.attribute]))
    return pattern.replace("{S}", person or sentence.person)


def second_person(relation: Sentence) -> str:
    return RELATION_PERSON.replace("{r}", relation.relation).replace("{S}", relation.person)


def anywhere(rng: random.Random, sizes: List[int], first_chunk: int = 0) -> Place:
    chunk = rng.randrange(first_chunk, len(sizes))
    return chunk, rng.randrange(sizes[chunk])


def plan_one_fact(rng: random.Random, sizes: List[int]) -> Dict[Place, str]:
    return {anywhere(rng, sizes): "named"}


def plan_pronoun(rng: random.Random, sizes: List[int]) -> Dict[Place, str]:
    return {anywhere(rng, sizes, 1): "pronoun"}


def plan_two_hops(rng: random.Random, sizes: List[int]) -> Dict[Place, str]:
    """The later of the two places is drawn like the place of any other dependent sentence."""
    later = anywhere(rng, sizes, 1)
    earlier = anywhere(rng, sizes[:later[0]])
    kinds = rng.sample(("relation", "reserved"), 2)
    return {later: kinds[0], earlier: kinds[1]}


def plan_instruction(rng: random.Random, sizes: List[int]) -> Dict[Place, str]:
    later = anywhere(rng, sizes, 1)
    return {later: "guest", anywhere(rng, sizes[:later[0]]): "instruction"}


# family -> plans a world with these chunk sizes; the first place is the dependent sentence's
FAMILIES: Dict[str, Callable[[random.Random, List[int]], Dict[Place, str]]] = {
    "one_fact": plan_one_fact,
    "pronoun": plan_pronoun,
    "two_hops": plan_two_hops,
    "instruction": plan_instruction,
}


def draw_sizes(rng: random.Random, chunks: int) -> List[int]:
    return [rng.randint(MIN_SENTENCES, MAX_SENTENCES) for _ in range(chunks)]


def asked(world: World, plan: Dict[Place, str], rng: random.Random, templates: str):
    """(question, answer) of a planned world."""
    fact = next(place for place, kind in plan.items() if kind not in ("relation", "instruction"))
    relation = [place for place, kind in plan.items() if kind == "relation"]
    person = second_person(world.sentence(relation[0])) if relation else ""
    sentence = world.sentence(fact)
    return question_for(sentence, rng, person, templates), sentence.value


def make_example(family: str, rng: random.Random, chunks: int = 8,
                 templates: str = "trained") -> dict:
    """One world and its question, in the shape the command line prints."""
    sizes = draw_sizes(rng, chunks)
    plan = FAMILIES[family](rng, sizes)
    world = build_world(rng, sizes, plan, Style(templates=templates))
    question, answer = asked(world, plan, rng, templates)
    chunk, slot = next(iter(plan))
    return {
        "family": family,
        "chunks": [chunk.text() for chunk in world.chunks],
        "question": question,
        "answer": answer,
        "dependent_chunk": chunk,
        "dependent_char": world.chunks[chunk].offset_of(slot),
    }


def examples(family: str, worlds: int, seed: int, chunks: int = 8, templates: str = "trained"):
    """World i depends on (family, templates, seed, i) alone: any prefix of a run is the same."""
    for index in range(worlds):
        rng = random.Random(f"{family}/{templates}/{seed}/{index}")
        yield make_example(family, rng, chunks, templates)


def prompt_segments(example: dict) -> List[str]:
    """Texts that are tokenised separately; one BOS goes in front of the first."""
    return example["chunks"] + [f"Question: {example['question']}\nAnswer:"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=sorted(FAMILIES), help="all of them without")
    parser.add_argument("--worlds", type=int, default=500, help="a family")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--chunks", type=int, default=8, help="2 to 14")
    parser.add_argument("--templates", choices=sorted(TEMPLATES), default="trained")
    parser.add_argument("--demo", metavar="DIR", help="write the demo documents there instead")
    args = parser.parse_args()
    if args.demo:
        from demo_documents import write_demo
        write_demo(args.demo)
        return 0
    if not 2 <= args.chunks <= 14:
        parser.error(f"--chunks {args.chunks}: expected 2 to 14")
    for family in [args.family] if args.family else FAMILIES:
        for example in examples(family, args.worlds, args.seed, args.chunks, args.templates):
            print(json.dumps(example))
    return 0


if __name__ == "__main__":
    sys.exit(main())
