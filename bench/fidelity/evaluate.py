#!/usr/bin/env python3
"""Scores full, reuse and first-k on generated worlds, with PyTorch, from a Hugging Face directory.

One pass for every method. A chunk is computed alone behind one BOS, which is dropped from what is
kept; K is kept before RoPE. The prompt's BOS and the question are always computed. `first-k` also
computes the first k rows of each chunk but the first chunk. An answer is right if the greedy token
is the first token of the expected value.

Usage: evaluate.py [--model engine/models/micro] [--worlds 500] [--seed 7] [--json FILE]
"""

import argparse
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch

import hf_directory
from generator import FAMILIES, examples, prompt_segments

METHODS = ("full", "reuse", "first-k")


class Linked:
    """A prompt with the kept keys and values of its chunks."""

    def __init__(self, model, tokenizer, example):
        self.model = model
        *chunks, question = [tokenizer.encode(text) for text in prompt_segments(example)]
        self.tokens = [tokenizer.bos] + sum(chunks, []) + question
        self.starts, at = [], 1
        for chunk in chunks:
            self.starts.append(at)
            at += len(chunk)
        self.question_rows = list(range(at, len(self.tokens)))
        self.ends = self.starts[1:] + [at]
        parts = [model.keys_values([tokenizer.bos])]
        for chunk in chunks:
            alone = model.keys_values([tokenizer.bos] + chunk)
            parts.append([(k[:, 1:], v[:, 1:]) for k, v in alone])
        config = model.config
        rest = torch.zeros(config.num_key_value_heads, len(question), config.head_dim)
        self.cached = [tuple(torch.cat([part[layer][i] for part in parts] + [rest], 1)
                             for i in (0, 1)) for layer in range(config.num_hidden_layers)]

    def rows(self, method: str, k: int):
        if method == "full":
            return list(range(len(self.tokens)))
        head = [0]
        if method == "first-k":
            for start, end in list(zip(self.starts, self.ends))[1:]:
                head += range(start, min(start + k, end))
        return head + self.question_rows

    def answer(self, method: str, k: int) -> int:
        return self.model.linked_logits(self.tokens, self.cached,
                                        self.rows(method, k)).argmax().item()


def dependent_row(tokenizer, example) -> int:
    """Row of its chunk at which the dependent sentence starts."""
    text = example["chunks"][example["dependent_chunk"]][:example["dependent_char"]]
    return len(tokenizer.encode(text.rstrip(" "))) if text else 0


def score(model, tokenizer, family, worlds, seed, k, chunks):
    """{"all" | "inside" | "beyond": {"worlds": n, method: accuracy}}"""
    counts = {part: {"worlds": 0, **{m: 0 for m in METHODS}}
              for part in ("all", "inside", "beyond")}
    for example in examples(family, worlds, seed, chunks):
        linked = Linked(model, tokenizer, example)
        expected = tokenizer.encode(example["answer"])[0]
        row = dependent_row(tokenizer, example)
        parts = ("all", "inside" if row < k else "beyond")
        for part in parts:
            counts[part]["worlds"] += 1
        for method in METHODS:
            if linked.answer(method, k) == expected:
                for part in parts:
                    counts[part][method] += 1
    return {part: {"worlds": c["worlds"],
                   **{m: round(c[m] / max(1, c["worlds"]), 4) for m in METHODS}}
            for part, c in counts.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="engine/models/micro")
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = hf_directory.load(args.model)
    results = {}
    with torch.no_grad():
        for family in FAMILIES:
            results[family] = score(model, tokenizer, family, args.worlds, args.seed, args.k,
                                    args.chunks)
            for part, figures in results[family].items():
                print(f"{family:10s} {part:7s}", json.dumps(figures), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"seed": args.seed, "k": args.k, "chunks": args.chunks,
                       "families": results}, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
