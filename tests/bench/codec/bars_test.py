"""Bars hold at their own value, in either direction, and what was not measured does not hold."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "codec"))

import bars


class Bars(unittest.TestCase):
    def test_both_directions(self):
        self.assertTrue(bars.held("codec.balanced_ratio", 8))
        self.assertFalse(bars.held("codec.balanced_ratio", 7.99))
        self.assertTrue(bars.held("codec.small_decode_share", 0.03))
        self.assertFalse(bars.held("codec.small_decode_share", 0.031))

    def test_every_bar_has_a_line(self):
        lines = bars.table({"codec.balanced_ratio": 9, "codec.small_ratio": 12.9}).split("\n")
        self.assertEqual(len(lines), 1 + len(bars.BARS))
        verdict = {line.split()[0]: line.split()[-1] for line in lines[1:]}
        self.assertEqual(verdict["codec.balanced_ratio"], "yes")
        self.assertEqual(verdict["codec.small_ratio"], "no")
        self.assertEqual(verdict["codec.small_decode_share"], "absent")


if __name__ == "__main__":
    unittest.main()
