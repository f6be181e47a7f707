#!/usr/bin/env python3
"""Trains the micro model's byte-level BPE on generated worlds and writes tokenizer.json.

Merging goes on until every word of the generator, with the space before it, is one token; the
generator promises sentences of exactly eight tokens, and this is what makes it true.

Usage: train_tokenizer.py [--out engine/models/micro/tokenizer.json]
"""

import argparse
import collections
import json
import sys

from bpe import BOS, BYTE_SYMBOLS, EOS, Tokenizer, pre_tokenize, to_symbols
from generator import FAMILIES, TOKENS_PER_SENTENCE, examples, prompt_segments
import words

MOST_MERGES = 4000


def every_word() -> set:
    """All words the generator can write, with the space before each."""
    relations = [f"the {r} of a {r}" for r in words.RELATIONS]
    texts = [*words.FILLER_FIXED, *relations, "Question: a\nAnswer:"]
    for patterns in [words.all_patterns(), *words.QUESTIONS.values()]:
        texts += [p.replace("{S}", "She").replace("{O}", "She").replace("{v}", "a") for p in patterns]
    texts += ["The", "He", *words.FEMALE_NAMES, *words.MALE_NAMES, *words.FILLER_ADJECTIVES,
              *words.FILLER_PLACES, *words.FILLER_ENDINGS]
    texts += [v for values in words.VALUES.values() for v in values]
    return {w for text in texts for w in pre_tokenize(" " + text)}


def count_words(worlds: int, seed: int) -> collections.Counter:
    counts = collections.Counter({word: 1 for word in every_word()})
    for family in FAMILIES:
        for example in examples(family, worlds, seed):
            for text in prompt_segments(example):
                counts.update(pre_tokenize(" " + text))
    return counts


def merge_word(parts: tuple, pair: tuple) -> tuple:
    out, at = [], 0
    while at < len(parts):
        if parts[at:at + 2] == pair:
            out.append(parts[at] + parts[at + 1])
            at += 2
        else:
            out.append(parts[at])
            at += 1
    return tuple(out)


def learn_merges(counts: collections.Counter) -> list:
    """Most frequent pair first, ties by the pair's spelling, until every word is one symbol."""
    split = {word: to_symbols(word) for word in counts}
    merges = []
    while any(len(parts) > 1 for parts in split.values()):
        pairs = collections.Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        for word, parts in split.items():
            if len(parts) > 1:
                split[word] = merge_word(parts, best)
        if len(merges) > MOST_MERGES:
            raise SystemExit(f"{MOST_MERGES} merges did not make every word one token")
    return merges


def tokenizer_json(merges: list) -> dict:
    symbols = [BOS, EOS, *BYTE_SYMBOLS.values()]
    seen = set(symbols)
    for a, b in merges:
        if a + b not in seen:  # two merges may arrive at one symbol
            seen.add(a + b)
            symbols.append(a + b)
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                  "use_regex": True}
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, token in enumerate((BOS, EOS))]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": {symbol: i for i, symbol in enumerate(symbols)},
                  "merges": [f"{a} {b}" for a, b in merges]},
    }


def check_chunk(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    if len(tokens) != TOKENS_PER_SENTENCE * text.count(".") + 1:
        raise SystemExit(f"not eight tokens a sentence: {text!r}")
    if tokenizer.decode(tokens) != " " + text:
        raise SystemExit(f"does not decode to itself: {text!r}")


def check(path: str) -> None:
    """Every sentence is eight tokens, so a chunk is eight times its sentences and a separator."""
    tokenizer = Tokenizer(path)
    for family in FAMILIES:
        for templates in words.TEMPLATES:
            for example in examples(family, 50, 99, templates=templates):
                for text in example["chunks"]:
                    check_chunk(tokenizer, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="engine/models/micro/tokenizer.json")
    parser.add_argument("--worlds", type=int, default=300, help="worlds a family to count words in")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    merges = learn_merges(count_words(args.worlds, args.seed))
    data = tokenizer_json(merges)
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=1)
        file.write("\n")
    check(args.out)
    print(f"{args.out}: {len(data['model']['vocab'])} tokens, {len(merges)} merges")
    return 0


if __name__ == "__main__":
    sys.exit(main())
