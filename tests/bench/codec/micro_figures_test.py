"""How sizes and losses are taken from an evaluation's scores, and which step is chosen."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "codec"))

import micro_figures


def score(family, preset, right, stored=10, part="all"):
    return {"family": family, "part": part, "method": "first-k", "preset": preset, "worlds": 100,
            "right": right, "stored_bytes": stored, "fp16_bytes": 400}


def scores(preset, right):
    """Of two families and a part of one."""
    return [score("a", "-", 100, 0), score("a", preset, right), score("b", preset, 100, 30),
            score("a", preset, 0, 999, "inside")]


class Pages(unittest.TestCase):
    def page(self, chunk, sentence):
        """Of a world of three chunks of ten sentences."""
        chunks = ["".join(f"C{c} says {i}. " for i in range(10)) for c in range(3)]
        return micro_figures.page_of({
            "chunks": chunks, "question": "What?", "answer": "that", "dependent_chunk": chunk,
            "dependent_char": len("C0 says 0. ") * sentence})

    def test_the_answering_sentence_is_among_those_coded(self):
        for chunk in range(3):
            for sentence in range(10):
                coded, asked = self.page(chunk, sentence).split("\n", 1)
                self.assertIn(f"C{chunk} says {sentence}.", coded)
                self.assertEqual(coded.count("."), micro_figures.SENTENCES)
                self.assertTrue(asked.startswith("Question: What?\nAnswer: that\nC0"))

    def test_some_sentences_stand_behind_it(self):
        self.assertIn("C1 says 7.", self.page(1, 4))
        self.assertTrue(self.page(2, 9).split("\n")[0].endswith("C2 says 9."))


class Scores(unittest.TestCase):
    def test_all_families_count_and_parts_do_not(self):
        self.assertEqual(micro_figures.totals(scores("small", 90), "small"),
                         {"worlds": 200, "right": 190, "stored_bytes": 40, "fp16_bytes": 800})
        self.assertEqual(micro_figures.ratio(scores("small", 90), "small"), 20)

    def test_points_are_of_all_questions_and_may_be_won(self):
        lossless = scores("lossless", 90)
        self.assertEqual(micro_figures.points_lost(lossless, scores("small", 87), "small"), 1.5)
        self.assertEqual(micro_figures.points_lost(lossless, scores("small", 91), "small"), -0.5)


class Steps(unittest.TestCase):
    def chosen(self, widest):
        """Where gains up to `widest` lose nothing that counts."""
        asked = []

        def measure(gain):
            asked.append(gain)
            return 40 + gain, 0.5 if gain <= widest else 0.6

        gain, seen = micro_figures.widest_bearable(measure)
        self.assertEqual(seen[gain][0], 40 + gain)
        self.assertEqual(len(asked), len(set(asked)))
        self.assertIn(0, seen)
        return gain, asked

    def test_the_profiles_own_when_it_holds(self):
        self.assertEqual(self.chosen(0), (0, [0]))

    def test_the_widest_that_holds(self):
        for widest in range(-2, micro_figures.FINEST - 1, -2):
            gain, asked = self.chosen(widest)
            self.assertEqual(gain, widest)
            self.assertLessEqual(len(asked), 5)

    def test_the_finest_where_none_holds(self):
        self.assertEqual(self.chosen(-100)[0], micro_figures.FINEST)


if __name__ == "__main__":
    unittest.main()
