"""What the generated worlds promise: lengths, the family's rule, and equal output for equal seeds."""

import os
import random
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "fidelity"))

import demo_documents
import generator
import words
from bpe import Tokenizer
from world_writer import build_world

NAMES = set(words.FEMALE_NAMES + words.MALE_NAMES)
SEED = 11


def names_in(text):
    return [word for word in re.findall("[A-Za-z]+", text) if word in NAMES]


class Worlds(unittest.TestCase):
    def setUp(self):
        self.tokenizer = Tokenizer(os.path.join(ROOT, "engine/models/micro/tokenizer.json"))

    def examples(self, family, chunks=8):
        return list(generator.examples(family, 60, SEED, chunks))

    def every_example(self):
        for family in generator.FAMILIES:
            for templates in words.TEMPLATES:
                yield from generator.examples(family, 60, SEED, templates=templates)

    def dependent(self, example):
        """(text of the chunk before the dependent sentence, that sentence)."""
        text, at = example["chunks"][example["dependent_chunk"]], example["dependent_char"]
        return text[:at], text[at:].split(".")[0]

    def test_every_sentence_is_eight_tokens_and_chunks_are_64_to_128(self):
        for example in self.every_example():
            for text in example["chunks"]:
                tokens = self.tokenizer.encode(text)
                self.assertEqual(len(tokens), 8 * text.count(".") + 1, text)
                self.assertTrue(64 <= len(tokens) <= 128, text)

    def test_answers_are_one_token(self):
        for example in self.every_example():
            self.assertEqual(len(self.tokenizer.encode(example["answer"])), 1)

    def test_the_answer_stands_in_the_dependent_sentence(self):
        for example in self.every_example():
            if example["family"] != "two_hops":
                self.assertIn(example["answer"], self.dependent(example)[1].split())

    def test_pronoun_person_is_the_last_named_in_the_chunk_before(self):
        for example in self.examples("pronoun") + self.examples("pronoun", 2):
            chunk = example["dependent_chunk"]
            before, sentence = self.dependent(example)
            person, = names_in(example["question"])
            self.assertEqual(names_in(example["chunks"][chunk - 1])[-1], person)
            self.assertEqual(names_in(before), [])
            pronoun = "She" if person in words.FEMALE_NAMES else "He"
            self.assertTrue(sentence.startswith(pronoun + " "))

    def test_one_fact_names_its_person(self):
        for example in self.examples("one_fact"):
            self.assertTrue(self.dependent(example)[1].startswith(
                names_in(example["question"])[0] + " "))

    def test_two_hops_needs_two_chunks(self):
        for example in self.examples("two_hops") + self.examples("two_hops", 2):
            person, = names_in(example["question"])
            relation = re.search("the ([a-z]+) of " + person, example["question"]).group(1)
            says = [i for i, text in enumerate(example["chunks"]) if re.search(
                rf"{person} (has a|wrote to|talked with) {relation} ", text)]
            self.assertEqual(len(says), 1)
            other = re.search(rf"{person} [a-z]+ [a-z]+ {relation} ([A-Za-z]+)",
                              example["chunks"][says[0]]).group(1)
            tells = [i for i, text in enumerate(example["chunks"])
                     if re.search(rf"{other} [^.]*\b{example['answer']}\b", text)]
            self.assertTrue(tells and says[0] not in tells, example)
            self.assertEqual(max(says[0], tells[0]), example["dependent_chunk"])

    def test_instruction_is_the_last_one_before_and_in_an_earlier_chunk(self):
        pattern = "|".join(p.replace("{S}.", "([A-Z][a-z]+)").replace(" ", r"\s")
                           for p in words.INSTRUCTIONS)
        for example in self.examples("instruction") + self.examples("instruction", 2):
            chunk = example["dependent_chunk"]
            before, sentence = self.dependent(example)
            self.assertIn("the guest", sentence)
            given = re.findall(pattern, "".join(example["chunks"][:chunk]))
            self.assertEqual("".join(given[-1]), names_in(example["question"])[0])
            self.assertEqual(re.findall(pattern, before), [])

    def test_held_out_patterns_are_never_written_for_training(self):
        held = [words.held_out(group)[0] for group in
                [*words.STATEMENTS.values(), *words.LABELLED.values(), words.INSTRUCTIONS]]
        shapes = [re.compile(re.sub(r"\\{[Sv]\\}", "[A-Za-z]+", re.escape(p))) for p in held]
        for family in generator.FAMILIES:
            for example in self.examples(family):
                text = "".join(example["chunks"])
                self.assertEqual([s.pattern for s in shapes if s.search(text)], [])
            text = "".join(chunk for e in generator.examples(family, 20, SEED, 8, "held-out")
                           for chunk in e["chunks"])
            self.assertTrue(all(s.search(text) for s in shapes[:11]))

    def test_nobody_is_told_the_same_attribute_twice(self):
        for index in range(60):
            rng = random.Random(f"{SEED}/{index}")
            world = build_world(rng, [12] * 8)
            told = [(world.sentence(p).person, world.sentence(p).attribute) for p in world.told()]
            self.assertEqual(len(told), len(set(told)))

    def test_no_value_is_a_word_of_a_pattern_and_none_belongs_to_two_attributes(self):
        values = [value for group in words.VALUES.values() for value in group]
        self.assertEqual(len(values), len(set(values)))
        patterns = words.all_patterns() + [q for group in words.QUESTIONS.values() for q in group]
        used = {word for p in patterns for word in re.findall("[A-Za-z]+", p)}
        self.assertEqual(used & set(values), set())

    def test_the_dependent_sentence_stands_at_every_slot(self):
        for family in generator.FAMILIES:
            starts = {e["chunks"][e["dependent_chunk"]][:e["dependent_char"]].count(".")
                      for e in generator.examples(family, 300, SEED)}
            self.assertTrue(set(range(generator.MIN_SENTENCES)) <= starts, starts)

    def test_a_seed_gives_the_same_worlds_and_a_prefix_of_more(self):
        for family in generator.FAMILIES:
            few = list(generator.examples(family, 3, SEED))
            self.assertEqual(few, list(generator.examples(family, 5, SEED))[:3])
            self.assertNotEqual(few, list(generator.examples(family, 3, SEED + 1)))


class Demo(unittest.TestCase):
    def test_committed_documents_are_the_generated_ones(self):
        folder = os.path.join(ROOT, "conf", "demo")
        documents = demo_documents.demo_world()
        for name, sentences in documents:
            with open(os.path.join(folder, name + ".txt"), encoding="utf-8") as file:
                self.assertEqual(file.read(), " ".join(s.text for s in sentences) + "\n")
        with open(os.path.join(folder, "questions.tsv"), encoding="utf-8") as file:
            asked = [tuple(line.rstrip("\n").split("\t")) for line in file]
        self.assertEqual(asked, demo_documents.demo_questions(documents))

    def test_one_question_needs_a_pronoun_behind_the_cut(self):
        sentences = dict(demo_documents.demo_world())["maria-and-the-bakery"]
        asked = sentences[demo_documents.CUT + 1]
        self.assertEqual(asked.kind, "pronoun")
        behind = [s.kind for s in sentences[demo_documents.CUT:demo_documents.CUT + 2]]
        self.assertEqual(behind, ["pronoun", "pronoun"])
        self.assertEqual(asked.person, [s.person for s in sentences[:demo_documents.CUT]
                                        if s.kind == "named"][-1])


if __name__ == "__main__":
    print("seed", SEED)
    unittest.main()
