"""The dozen documents of the demo, and its questions with their answers.

Every document is one line. Two are longer than a chunk of 128 tokens, so that they are cut after 15
or 16 sentences; their 15th to 17th sentences speak by pronoun of the person the 14th names.
Whichever way a chunker counts the separator, the 17th then starts in row 0 or 8 of the second chunk.
"""

import os
import random
from typing import List

from generator import question_for
from world_writer import Sentence, Writer

# file, first person, what the first sentence tells of that person, its value, sentences
DOCUMENTS = [
    ("maria-and-the-bakery", "Maria", "job", "baker", 22),
    ("peter-at-the-harbour", "Peter", "job", "fisherman", 9),
    ("clara-and-her-violin", "Clara", "instrument", "violin", 8),
    ("the-house-of-walter", "Walter", "city", "Vienna", 10),
    ("helen-goes-sailing", "Helen", "hobby", "sailing", 8),
    ("oscar-the-gardener", "Oscar", "job", "gardener", 24),
    ("rosa-and-the-parrot", "Rosa", "pet", "parrot", 9),
    ("notes-from-hugo", "Hugo", "subject", "history", 8),
    ("ingrid-in-winter", "Ingrid", "colour", "red", 10),
    ("the-tractor-of-martin", "Martin", "vehicle", "tractor", 8),
    ("sarah-at-breakfast", "Sarah", "food", "pancakes", 9),
    ("letters-to-conrad", "Conrad", "language", "Greek", 8),
]
CUT = 15  # sentences before the first place a long document may be cut
ASKED = [("helen-goes-sailing", 0), ("maria-and-the-bakery", 16), ("oscar-the-gardener", 0)]
SEED = 20


def write_document(writer: Writer, entry) -> List[Sentence]:
    _, person, attribute, value, count = entry
    writer.meet(person, told_first=attribute)
    start = [writer.state("named", value=value), writer.state("pronoun"), writer.filler(),
             writer.state("pronoun")]
    if count <= CUT:
        return start + writer.runs(count - len(start), {}, fresh=False)
    start += writer.runs(CUT - len(start) - 2, {}, fresh=False)
    writer.meet(person)  # again, right before the cut, and by pronoun after it
    start += [writer.state("named"), writer.state("pronoun")]
    rest = [writer.state("pronoun"), writer.state("pronoun"), writer.filler()]
    return start + rest + writer.runs(count - len(start) - len(rest), {}, fresh=False)


def demo_world():
    """[(file name, sentences)] in the order of DOCUMENTS."""
    rng = random.Random(SEED)
    writer = Writer(rng)
    writer.instructs = False  # whoever asks may leave documents out
    taken = {entry[1] for entry in DOCUMENTS}
    for pronoun, names in writer.unused.items():
        writer.unused[pronoun] = [n for n in names if n not in taken]
    return [(entry[0], write_document(writer, entry)) for entry in DOCUMENTS]


def demo_questions(documents) -> List[tuple]:
    """[(question, answer)]; the second needs a pronoun that crosses a cut."""
    by_name, rng = dict(documents), random.Random(SEED)
    asked = [by_name[name][index] for name, index in ASKED]
    return [(question_for(sentence, rng), sentence.value) for sentence in asked]


def write_demo(directory: str) -> None:
    os.makedirs(directory, exist_ok=True)
    documents = demo_world()
    for name, sentences in documents:
        with open(os.path.join(directory, name + ".txt"), "w", encoding="utf-8") as file:
            file.write(" ".join(s.text for s in sentences) + "\n")
    with open(os.path.join(directory, "questions.tsv"), "w", encoding="utf-8") as file:
        for question, answer in demo_questions(documents):
            file.write(f"{question}\t{answer}\n")
