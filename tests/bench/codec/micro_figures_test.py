"""How sizes and losses are taken from an evaluation's scores, and which step is chosen."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "codec"))

import micro_figures


def score(family, method, preset, right, stored=10, part="all"):
    return {"family": family, "part": part, "method": method, "preset": preset, "worlds": 100,
            "right": right, "stored_bytes": stored, "fp16_bytes": 400}


def scores(preset, reuse, first_k, stored=10):
    """Of two families; the second is always right."""
    return [score("a", "full", "-", 100, 0),
            *(score(family, method, preset, right if family == "a" else 100, stored)
              for family in ("a", "b")
              for method, right in (("reuse", reuse), ("first-k", first_k))),
            score("a", "reuse", preset, 0, 999, "inside")]


LOSSLESS = scores("lossless", 90, 95)


class Micro(unittest.TestCase):
    def test_all_families_count_and_parts_do_not(self):
        self.assertEqual(micro_figures.totals(LOSSLESS, "lossless", "reuse"),
                         {"worlds": 200, "right": 190, "stored_bytes": 20, "fp16_bytes": 800})
        self.assertEqual(micro_figures.ratio(LOSSLESS, "lossless"), 40)

    def test_the_method_that_loses_more_counts(self):
        lossy = scores("small", 92, 91)
        self.assertEqual(micro_figures.points_lost(LOSSLESS, lossy, "small"), 2)

    def test_a_gain_is_no_loss(self):
        self.assertEqual(
            micro_figures.points_lost(LOSSLESS, scores("small", 92, 96), "small"), -0.5)

    def chosen(self, right):
        """By how many of reuse's answers are right at each gain."""
        asked = []

        def evaluate(name):
            asked.append(name)
            gain = int(name.partition(":")[2] or 0)
            return scores(name, right(gain), 95, 10 - gain)

        return micro_figures.widest_bearable(evaluate, "small", LOSSLESS), asked

    def test_the_profiles_own_step_when_it_holds(self):
        self.assertEqual(self.chosen(lambda gain: 89), ((0, 40, 0.5), ["small"]))

    def test_finer_until_it_holds(self):
        (gain, ratio, points), asked = self.chosen(lambda gain: 90 if gain <= -4 else 80)
        self.assertEqual(asked, ["small", "small:-2", "small:-4"])
        self.assertEqual((gain, points), (-4, 0))
        self.assertAlmostEqual(ratio, 400 / 14)

    def test_the_loss_is_told_where_no_step_holds(self):
        (gain, _, points), asked = self.chosen(lambda gain: 80)
        self.assertEqual(gain, micro_figures.FINEST)
        self.assertEqual(points, 5)
        self.assertEqual(len(asked), 1 - micro_figures.FINEST // micro_figures.FINER)


if __name__ == "__main__":
    unittest.main()
