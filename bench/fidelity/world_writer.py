"""Writes worlds: chunks of sentences about people, and where each fact gets its person from.

A sentence names its person, or says "She" or "He", or speaks of "the guest". A pronoun means the
person named last; no pronoun stands where that would be doubtful to a reader, that is behind a
sentence about two people or about the guest. The guest is whom the last instruction said.
"""

import random
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from words import (ATTRIBUTES, FEMALE_NAMES, FILLER_ADJECTIVES, FILLER_ENDINGS, FILLER_FIXED,
                   FILLER_PLACES, INSTRUCTIONS, LABELLED, MALE_NAMES, RELATION_STATEMENTS,
                   RELATIONS, STATEMENTS, TEMPLATES, VALUES)

TOKENS_PER_SENTENCE = 8
CARRY_PROBABILITY = 0.5  # how often a chunk goes on about the last person of the chunk before
FILLER_SHARE = 0.3
RELATION_SHARE = 0.25  # of the people are introduced by a relation

Place = Tuple[int, int]  # chunk, slot


@dataclass
class Sentence:
    text: str
    kind: str  # "filler", "named", "pronoun", "instruction", "guest" or "relation"
    person: Optional[str] = None
    attribute: Optional[str] = None
    value: Optional[str] = None
    other: Optional[str] = None  # of a relation: `other` is the `relation` of `person`
    relation: Optional[str] = None
    crosses: bool = False  # its person stands in an earlier chunk


@dataclass
class Chunk:
    sentences: List[Sentence]
    separator: str = " "

    def text(self) -> str:
        return " ".join(s.text for s in self.sentences) + self.separator

    def offset_of(self, slot: int) -> int:
        return sum(len(s.text) + 1 for s in self.sentences[:slot])


@dataclass
class Style:
    """What a world may be about and how it is said."""
    attributes: Sequence[str] = ATTRIBUTES
    change: float = 0.2  # share of sentences that turn to a new person
    guest: float = 0.12  # share of sentences that speak of the guest, once there is one
    instruction: float = 0.08  # share of people who are introduced as the guest
    templates: str = "trained"


@dataclass
class World:
    chunks: List[Chunk]
    places: List[Place] = field(default_factory=list)  # of all but filler

    def sentence(self, place: Place) -> Sentence:
        return self.chunks[place[0]].sentences[place[1]]

    def told(self, kinds=("named", "pronoun", "guest")) -> List[Place]:
        """Where facts are told of people."""
        return [p for p in self.places if self.sentence(p).kind in kinds]

    def hops(self) -> List[Tuple[Place, Place]]:
        """(relation, a fact about its second person), over all such pairs."""
        facts: Dict[str, List[Place]] = {}
        for place in self.told():
            facts.setdefault(self.sentence(place).person, []).append(place)
        return [(relation, fact) for relation in self.told(("relation",))
                for fact in facts.get(self.sentence(relation).other, [])]


class Writer:
    """Writes the sentences of one world; nobody is told the same kind of fact twice."""

    def __init__(self, rng: random.Random, style: Style = Style(), reserve: bool = False):
        self.rng, self.style = rng, style
        self.unused = {"She": rng.sample(FEMALE_NAMES, len(FEMALE_NAMES)),
                       "He": rng.sample(MALE_NAMES, len(MALE_NAMES))}
        self.person: Optional[str] = None  # whom a pronoun would mean
        self.guest: Optional[str] = None
        self.free: Dict[str, List[str]] = {}  # person -> attributes not told yet
        self.waiting: List[str] = []  # named as somebody's relation, nothing told yet
        self.related: set = set()
        self.instructs = True  # whether unplanned instructions are given
        self.reserved = self.new_name() if reserve else None

    def choose(self, patterns: List[str]) -> str:
        return self.rng.choice(TEMPLATES[self.style.templates](patterns))

    def filler(self) -> Sentence:
        rng = self.rng
        if rng.random() < 0.2:
            return Sentence(rng.choice(FILLER_FIXED), "filler")
        return Sentence(f"The {rng.choice(FILLER_ADJECTIVES)} {rng.choice(FILLER_PLACES)} "
                        f"{rng.choice(FILLER_ENDINGS)}.", "filler")

    def new_name(self) -> Optional[str]:
        pronoun = self.rng.choice(("She", "He"))
        names = self.unused[pronoun] or max(self.unused.values(), key=len)
        return names.pop() if names else None

    def meet(self, person: str, told_first: Optional[str] = None) -> None:
        """Makes this the person written about; `told_first` is the attribute of the next fact."""
        self.person = person
        if person in self.free:
            return
        self.free[person] = self.rng.sample(self.style.attributes, len(self.style.attributes))
        if told_first:
            self.free[person].sort(key=lambda attribute: attribute == told_first)

    def introduce(self, person: Optional[str] = None) -> Sentence:
        """A fact about somebody nothing was told of."""
        if person is None and self.waiting and self.rng.random() < 0.6:
            person = self.waiting.pop(self.rng.randrange(len(self.waiting)))
        person = person or self.new_name()
        if person is None:
            return self.filler()
        self.meet(person)
        return self.state("named")

    def state(self, kind: str, value: Optional[str] = None) -> Sentence:
        """The next fact about the person or the guest, or filler where everything is told."""
        person = self.guest if kind == "guest" else self.person
        if person is None or not self.free[person]:
            return self.filler()
        attribute = self.free[person].pop()
        value = value or self.rng.choice(VALUES[attribute])
        pattern = self.choose((LABELLED if kind == "guest" else STATEMENTS)[attribute])
        subject = person if kind == "named" else "She" if person in FEMALE_NAMES else "He"
        if kind == "guest":
            self.person = None
        return Sentence(pattern.replace("{S}", subject).replace("{v}", value), kind, person,
                        attribute, value)

    def instruct(self) -> Sentence:
        person = self.new_name()
        if person is None:
            return self.filler()
        self.meet(person)
        self.guest = person
        return Sentence(self.choose(INSTRUCTIONS).replace("{S}", person), "instruction", person)

    def relate(self, other: Optional[str] = None) -> Sentence:
        """A new person and whose cousin, friend, ... somebody is, mostly one not met yet."""
        person = self.new_name()
        if other is None:
            known = [p for p in self.free if p not in self.related]
            if known and self.rng.random() < 0.3:
                other = self.rng.choice(known)
            else:
                other = self.new_name()
                if other:
                    self.waiting.append(other)
        if person is None or other is None:
            return self.filler()
        self.related.add(other)
        self.person = None
        relation = self.rng.choice(RELATIONS)
        text = self.choose(RELATION_STATEMENTS).replace("{S}", person).replace("{O}", other)
        return Sentence(text.replace("{r}", relation), "relation", person, other=other,
                        relation=relation)

    def planned(self, kind: str) -> Sentence:
        if kind == "named":
            return self.introduce()
        if kind == "reserved":
            return self.introduce(self.reserved)
        if kind == "relation":
            return self.relate(self.reserved)
        return self.instruct() if kind == "instruction" else self.state(kind)

    def turn(self) -> Sentence:
        """A new person, introduced in one of the ways there are."""
        draw = self.rng.random()
        if draw < RELATION_SHARE:
            return self.relate()
        if draw < RELATION_SHARE + self.style.instruction and self.instructs:
            return self.instruct()
        return self.introduce()

    def unplanned(self, fresh: bool) -> Sentence:
        draw, change = self.rng.random(), self.style.change
        if fresh:
            return self.introduce()
        if draw < change:
            return self.turn()
        if draw < change + FILLER_SHARE:
            return self.filler()
        if self.guest and self.free[self.guest] and self.rng.random() < self.style.guest:
            return self.state("guest")
        if self.person is None:
            return self.introduce() if self.rng.random() < 0.5 else self.filler()
        return self.state("named" if draw > 0.85 else "pronoun")

    def carried(self, count: int, pronoun_at: Optional[int]) -> List[Sentence]:
        """`count` sentences about the last person, by pronoun, and filler."""
        keep = self.free[self.person].pop() if pronoun_at is not None else None
        out = []
        for slot in range(count):
            if slot == pronoun_at:
                self.free[self.person].append(keep)
                out.append(self.state("pronoun"))
            elif self.rng.random() < FILLER_SHARE:
                out.append(self.filler())
            else:
                out.append(self.state("pronoun"))
        return out

    def runs(self, count: int, planned: Dict[int, str], fresh: bool = True) -> List[Sentence]:
        """`count` sentences about people in turn; the first names a new one if `fresh`."""
        return [self.planned(planned[slot]) if slot in planned
                else self.unplanned(fresh and slot == 0) for slot in range(count)]


def choose_lead(rng: random.Random, writer: Writer, size: int, planned: Dict[int, str]) -> int:
    """How many sentences of a chunk go on about the last person of the chunk before.

    Every chunk but one with a planned pronoun names somebody itself, so that the next may go on.
    """
    if "pronoun" in planned.values():
        return rng.randint(max(planned) + 1, size)
    room = min(planned, default=size - 1)
    if rng.random() >= CARRY_PROBABILITY or room < 1 or not writer.free[writer.person]:
        return 0
    return rng.randint(1, room)


def write_chunk(rng: random.Random, writer: Writer, size: int, planned: Dict[int, str],
                named_before: bool) -> Optional[Tuple[List[Sentence], int]]:
    """(sentences, how many of them lead over); None where the plan cannot be kept."""
    lead, carries = 0, named_before and writer.person is not None
    if "pronoun" in planned.values() and not (carries and writer.free[writer.person]):
        return None
    if carries:
        lead = choose_lead(rng, writer, size, planned)
    pronoun = next((slot for slot, kind in planned.items() if kind == "pronoun"), None)
    sentences = writer.carried(lead, pronoun)
    for sentence in sentences:
        sentence.crosses = sentence.kind == "pronoun"
    rest = {slot - lead: kind for slot, kind in planned.items() if slot >= lead}
    guest_before = writer.guest
    for sentence in writer.runs(size - lead, rest):
        sentence.crosses = sentence.kind == "guest" and sentence.person == guest_before
        sentences.append(sentence)
    if any(sentences[slot].kind == "filler" for slot in planned):
        return None
    return sentences, lead


def attempt(rng: random.Random, sizes: List[int], plan: Dict[Place, str],
            style: Style) -> Optional[World]:
    writer = Writer(rng, style, "reserved" in plan.values())
    label = [place for place, kind in plan.items() if kind in ("instruction", "guest")]
    world, named_before = World([]), False
    for index, size in enumerate(sizes):
        planned = {slot: kind for (chunk, slot), kind in plan.items() if chunk == index}
        # nobody else becomes the guest between a planned instruction and its use
        writer.instructs = not label or not min(label)[0] <= index <= max(label)[0]
        written = write_chunk(rng, writer, size, planned, named_before)
        if written is None:
            return None
        sentences, lead = written
        if lead:
            world.chunks[-1].separator = " "
        named_before = lead < size
        world.chunks.append(Chunk(sentences, rng.choice((" ", "\n"))))
    world.chunks[-1].separator = "\n"
    world.places = [(c, s) for c, chunk in enumerate(world.chunks)
                    for s, sentence in enumerate(chunk.sentences) if sentence.kind != "filler"]
    return world


def build_world(rng: random.Random, sizes: List[int], plan: Optional[Dict[Place, str]] = None,
                style: Style = Style()) -> World:
    """A world with sizes[i] sentences in chunk i and sentences of the planned kinds in place."""
    while True:
        world = attempt(rng, sizes, plan or {}, style)
        if world:
            return world
