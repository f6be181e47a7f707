"""Shares of prefill are ratios of medians."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "codec"))

import decode_figures


class Decode(unittest.TestCase):
    def test_shares_and_ratios(self):
        figures = decode_figures.figures_of(
            {"fp16_bytes": 1000, "prefill_ms": [100, 400, 200],
             "presets": {"small": {"decode_ms": [5, 4, 30], "bytes": 20},
                         "balanced": {"decode_ms": [2, 2, 3], "bytes": 125}}})
        self.assertEqual(figures, {
            "codec.prefill_ms": 200, "codec.small_decode_share": 0.025, "codec.small_decode_ms": 5,
            "codec.bench_small_ratio": 50, "codec.balanced_decode_share": 0.01,
            "codec.balanced_decode_ms": 2, "codec.bench_balanced_ratio": 8})


if __name__ == "__main__":
    unittest.main()
