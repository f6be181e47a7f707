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

NAMES = set(words.FEMALE_NAMES + words.MALE_NAMES)
SEED = 11


def names_in(text):
    return [word for word in re.findall("[A-Za-z]+", text) if word in NAMES]


class Worlds(unittest.TestCase):
    def setUp(self):
        self.tokenizer = Tokenizer(os.path.join(ROOT, "engine/models/micro/tokenizer.json"))

    def examples(self, family, chunks=8):
        return list(generator.examples(family, 60, SEED, chunks))

    def test_every_sentence_is_eight_tokens_and_chunks_are_64_to_128(self):
        for family in generator.FAMILIES:
            for example in self.examples(family):
                for text in example["chunks"]:
                    tokens = self.tokenizer.encode(text)
                    self.assertEqual(len(tokens), 8 * text.count(".") + 1, text)
                    self.assertTrue(64 <= len(tokens) <= 128, text)

    def test_answers_are_one_token_and_stand_in_the_dependent_sentence(self):
        for family in generator.FAMILIES:
            for example in self.examples(family):
                text = example["chunks"][example["dependent_chunk"]]
                sentence = text[example["dependent_char"]:].split(".")[0]
                self.assertIn(example["answer"], sentence.split())
                self.assertEqual(len(self.tokenizer.encode(example["answer"])), 1)

    def test_pronoun_person_is_the_last_named_in_the_chunk_before(self):
        for example in self.examples("pronoun") + self.examples("pronoun", 2):
            chunk, at = example["dependent_chunk"], example["dependent_char"]
            person, = names_in(example["question"])
            self.assertEqual(names_in(example["chunks"][chunk - 1])[-1], person)
            self.assertEqual(names_in(example["chunks"][chunk][:at]), [])
            pronoun = "She" if person in words.FEMALE_NAMES else "He"
            self.assertTrue(example["chunks"][chunk][at:].startswith(pronoun + " "))

    def test_one_fact_names_its_person(self):
        for example in self.examples("one_fact"):
            sentence = example["chunks"][example["dependent_chunk"]][example["dependent_char"]:]
            self.assertTrue(sentence.startswith(names_in(example["question"])[0] + " "))

    def test_nobody_is_told_the_same_attribute_twice(self):
        for index in range(60):
            rng = random.Random(f"{SEED}/{index}")
            world = generator.build_world(rng, [12] * 8)
            told = [(s.person, s.attribute) for c in world.chunks for s in c.sentences
                    if s.kind != "filler"]
            self.assertEqual(len(told), len(set(told)))

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
