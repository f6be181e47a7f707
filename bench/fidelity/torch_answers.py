#!/usr/bin/env python3
"""Writes what PyTorch answers with full attention to 20 prompts a family, to test the engine with.

Per prompt: segments as texts and as token ids (one BOS goes in front of the first), the greedy
answer up to EOS as ids and text, and the five largest logits of the prompt's last row.

Usage: torch_answers.py [--model engine/models/micro] [--out tests/golden/engine/micro_answers.json]
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

MOST_TOKENS = 8
TOP = 5


def greedy(model, tokenizer, tokens):
    """(answer ids without EOS, logits after the prompt)."""
    first = model.last_logits(tokens)
    answer, logits = [], first
    while len(answer) < MOST_TOKENS:
        token = logits.argmax().item()
        if token == tokenizer.eos:
            break
        answer.append(token)
        logits = model.last_logits(tokens + answer)
    return answer, first


def record(model, tokenizer, example) -> dict:
    texts = prompt_segments(example)
    segments = [tokenizer.encode(text) for text in texts]
    answer, logits = greedy(model, tokenizer, [tokenizer.bos] + sum(segments, []))
    values, ids = logits.topk(TOP)
    return {
        "family": example["family"], "expected": example["answer"], "segments": texts,
        "segment_ids": segments, "answer_ids": answer, "answer": tokenizer.decode(answer),
        "top_ids": ids.tolist(), "top_logits": [round(v, 4) for v in values.tolist()],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="engine/models/micro")
    parser.add_argument("--out", default="tests/golden/engine/micro_answers.json")
    parser.add_argument("--prompts", type=int, default=20, help="a family")
    parser.add_argument("--seed", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = hf_directory.load(args.model)
    with torch.no_grad():
        prompts = [record(model, tokenizer, example) for family in FAMILIES
                   for example in examples(family, args.prompts, args.seed)]
    os.makedirs(os.path.dirname(args.out), exist_ok=True)
    with open(args.out, "w", encoding="utf-8") as file:
        file.write('{"seed": %d, "bos": %d, "eos": %d, "prompts": [\n'
                   % (args.seed, tokenizer.bos, tokenizer.eos))
        file.write(",\n".join(json.dumps(prompt) for prompt in prompts))
        file.write("\n]}\n")
    right = sum(p["answer"].strip() == p["expected"] for p in prompts)
    print(f"{args.out}: {len(prompts)} prompts, {right} answered as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
