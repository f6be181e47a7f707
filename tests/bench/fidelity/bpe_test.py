"""The Python tokenizer against answers worked out by hand from the GPT-2 pattern."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "fidelity"))

from bpe import BYTE_SYMBOLS, Tokenizer, pre_tokenize


class PreTokenizer(unittest.TestCase):
    CASES = {
        " Maria lives.": [" Maria", " lives", "."],
        "a  b": ["a", " ", " b"],
        "a \n b": ["a", " \n", " b"],
        "a\n\nb": ["a", "\n", "\n", "b"],
        "a\tb": ["a", "\t", "b"],
        "end \n ": ["end", " \n "],
        " don't 12x": [" don", "'t", " 12", "x"],
        "!'s": ["!'", "s"],
        "it's 'so": ["it", "'s", " '", "so"],
        "x\u00b2 \u2155\u0661": ["x", "\u00b2", " \u2155\u0661"],  # other numbers count as numbers
        "a_b": ["a", "_", "b"],
        "e\u0301": ["e", "\u0301"],  # a combining mark is neither letter nor number
        "a\u00a0\u3000b": ["a", "\u00a0", "\u3000", "b"],
        "a\x1cb": ["a", "\x1c", "b"],  # no white space to Unicode, though Python says so
        "\x1c\x1c": ["\x1c\x1c"],
    }

    def test_words(self):
        for text, expected in self.CASES.items():
            self.assertEqual(pre_tokenize(text), expected, repr(text))


class MicroTokenizer(unittest.TestCase):
    def setUp(self):
        self.tokenizer = Tokenizer(os.path.join(ROOT, "engine/models/micro/tokenizer.json"))

    def test_all_bytes_are_in_the_vocabulary(self):
        self.assertTrue(set(BYTE_SYMBOLS.values()) <= set(self.tokenizer.ids))

    def test_any_text_comes_back_behind_its_prefix_space(self):
        for text in ("Maria", "na\u00efve \u4f60\u597d \U0001f600", "a\x00b", "two  spaces\r\n"):
            self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(text)), " " + text)
        self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(" led")), " led")
        self.assertEqual(self.tokenizer.encode(""), [])

    def test_ids_are_dense(self):
        self.assertEqual(sorted(self.tokenizer.ids.values()), list(range(len(self.tokenizer.ids))))
        self.assertEqual((self.tokenizer.bos, self.tokenizer.eos), (0, 1))


if __name__ == "__main__":
    unittest.main()
