"""Byte-level BPE as Hugging Face tokenizers writes it (GPT-2 pre-tokenisation, add_prefix_space).

The pre-tokeniser is a scanner over Unicode categories, because Python's `re` has no \\p classes:
  's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
"""

import json
import unicodedata
from functools import lru_cache
from typing import Dict, List, Tuple

BOS, EOS = "<|bos|>", "<|eos|>"
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
# Unicode White_Space, which is what \s means to the reference; str.isspace() has four more.
SPACES = frozenset([*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
                    0x202F, 0x205F, 0x3000])


def byte_symbols() -> Dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in shown}
    extra = 0
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


BYTE_SYMBOLS = byte_symbols()
SYMBOL_BYTES = {symbol: byte for byte, symbol in BYTE_SYMBOLS.items()}


def char_class(char: str) -> str:
    if ord(char) in SPACES:
        return "S"
    category = unicodedata.category(char)[0]
    return category if category in "LN" else "O"


def pre_tokenize(text: str) -> List[str]:
    """Words of a text in the order of the pattern's alternatives; the prefix space is not added."""
    words, at, end = [], 0, len(text)
    classes = [char_class(c) for c in text]
    while at < end:
        contraction = next((c for c in CONTRACTIONS if text.startswith(c, at)), None)
        if contraction:
            words.append(contraction)
            at += len(contraction)
            continue
        start = at
        first = at + 1 if text[at] == " " and at + 1 < end and classes[at + 1] != "S" else at
        kind = classes[first]
        stop = first
        while stop < end and classes[stop] == kind:
            stop += 1
        if kind == "S" and stop < end and stop - start > 1:
            stop -= 1  # the last space is left to what follows
        words.append(text[start:stop])
        at = stop
    return words


def to_symbols(word: str) -> Tuple[str, ...]:
    return tuple(BYTE_SYMBOLS[byte] for byte in word.encode("utf-8"))


class Tokenizer:
    """Encodes and decodes by a tokenizer.json. Special tokens are never found in text."""

    def __init__(self, path: str):
        with open(path, encoding="utf-8") as file:
            model = json.load(file)["model"]
        self.ids: Dict[str, int] = model["vocab"]
        self.symbols = {token_id: symbol for symbol, token_id in self.ids.items()}
        merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self.bos, self.eos = self.ids[BOS], self.ids[EOS]
        self.encode_word = lru_cache(maxsize=1 << 16)(self._encode_word)

    def _encode_word(self, word: str) -> Tuple[int, ...]:
        parts = list(to_symbols(word))
        while len(parts) > 1:
            ranked = [(self.ranks.get((a, b), len(self.ranks)), i)
                      for i, (a, b) in enumerate(zip(parts, parts[1:]))]
            rank, at = min(ranked)
            if rank == len(self.ranks):
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        return tuple(self.ids[part] for part in parts)

    def encode(self, text: str) -> List[int]:
        if text and not text.startswith(" "):
            text = " " + text
        return [token for word in pre_tokenize(text) for token in self.encode_word(word)]

    def decode(self, tokens: List[int]) -> str:
        data = bytes(SYMBOL_BYTES[c] for t in tokens if t not in (self.bos, self.eos)
                     for c in self.symbols[t])
        return data.decode("utf-8", errors="replace")
