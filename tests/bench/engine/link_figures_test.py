"""Figures of the link from what the sides printed: medians, and equal work on all sides."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "engine"))

import link_figures


def runs(*times, rows=20):
    return [{"ms": ms, "cpu_ms": ms / 10, "link_bytes": 7, "rows_computed": rows} for ms in times]


class Link(unittest.TestCase):
    def setUp(self):
        self.seen = {"raw": runs(900, 600, 610), "high": runs(200, 100, 300),
                     "balanced": runs(100, 90, 120), "small": runs(50, 50, 60),
                     "first_level": runs(80, 40, 50)}

    def test_ratios_are_of_medians(self):
        figures = link_figures.figures_of(self.seen)
        self.assertAlmostEqual(figures["ttft.link_vs_raw"], 610 / 200)
        self.assertAlmostEqual(figures["ttft.link_vs_raw_balanced"], 6.1)
        self.assertAlmostEqual(figures["ttft.link_vs_raw_small"], 610 / 50)
        self.assertAlmostEqual(figures["codec.first_level_ttft_share"], 0.5)
        self.assertEqual(figures["ttft.link_raw_ms"], 610)
        self.assertEqual(figures["ttft.link_raw_cpu_ms"], 61)
        self.assertEqual(figures["ttft.link_small_bytes"], 7)

    def test_other_rows_recomputed_are_no_comparison(self):
        self.seen["raw"] = runs(900, rows=21)
        with self.assertRaises(SystemExit):
            link_figures.figures_of(self.seen)


if __name__ == "__main__":
    unittest.main()
