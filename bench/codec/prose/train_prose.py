#!/usr/bin/env python3
"""Trains the codec's prose model: a small Llama on English package documentation (corpus.txt).

A killed run goes on from its last checkpoint. Matrices of the layers are trained by Muon (momentum,
then the nearest orthogonal matrix by Newton-Schulz steps), everything else by AdamW; the rate falls
linearly to zero. --out writes the model as a Hugging Face directory with fp16 weights and says its
loss on held-out packages, beside those of smoothed 2-gram and 3-gram models of the same text.

Usage: train_prose.py --work DIR [--out bench/codec/prose/model] [--steps N] [--threads N]
"""

import argparse
import array
import collections
import json
import math
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "fidelity"))

import numpy as np
import torch
import torch.nn.functional as F

import bpe
import corpus
import hf_directory
import ngrams
from byte_pairs import learn_merges
from micro_llama import Config, MicroLlama, rope_tables, rotate
from train_tokenizer import tokenizer_json

VOCABULARY, WINDOW = 4096, 512
# Most steps see half windows, twice as many: attention costs half, and what lies far back is soon learnt.
SHORT_WINDOW, SHORT_UNTIL = 256, 0.7


def prepare(work):
    """Tokens of every set, pages one after another with EOS behind each: made once, kept in files."""
    folder = os.path.join(work, "tokens")
    if os.path.isdir(folder):
        return
    pages = corpus.load(os.path.join(work, "packages"))
    counts = collections.Counter()
    for page in pages["train"]:
        counts.update(bpe.pre_tokenize(" " + page))
    often = {bpe.to_symbols(word): times for word, times in counts.items() if times > 2}
    merges = learn_merges(often, VOCABULARY - 258)
    os.makedirs(folder + ".new", exist_ok=True)
    with open(os.path.join(folder + ".new", "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer_json(merges), file, ensure_ascii=False, indent=0)
        file.write("\n")
    tokenizer = bpe.Tokenizer(os.path.join(folder + ".new", "tokenizer.json"))
    for name in corpus.SETS:
        tokens = array.array("H")
        for page in pages[name]:
            tokens.extend(tokenizer.encode(page) + [tokenizer.eos])
        np.array(tokens, dtype=np.uint16).tofile(os.path.join(folder + ".new", name + ".u16"))
    os.rename(folder + ".new", folder)


def tokens_of(work, name):
    path = os.path.join(work, "tokens", name + ".u16")
    return torch.from_numpy(np.fromfile(path, dtype=np.uint16).astype(np.int64))


def forward(model, tokens):
    """Logits [B, T, V] of windows [B, T]."""
    length = tokens.shape[1]
    cos, sin = rope_tables(torch.arange(length), model.config)
    mask = torch.full((length, length), -1e9).triu(1)
    repeat = model.config.num_attention_heads // model.config.num_key_value_heads
    mask = mask.repeat(repeat, 1)[None]
    scale = model.config.head_dim ** -0.5
    x = model.model.embed_tokens(tokens)
    for layer in model.model.layers:
        attention, y = layer.self_attn, layer.input_layernorm(x)
        k, v = attention.keys_values(y)
        q = attention.group(rotate(attention.queries(y) * scale, cos, sin)).flatten(0, 1)
        k = rotate(k, cos, sin).flatten(0, 1)
        weights = torch.baddbmm(mask, q, k.transpose(1, 2)).softmax(-1)
        heads = torch.bmm(weights, v.flatten(0, 1)).unflatten(0, v.shape[:2])
        x = layer.finish(x, attention.ungroup(heads))
    return model.logits(x)


def loss_of(model, windows):
    """Mean cross entropy, nats a token, of windows whose first token is BOS."""
    logits = forward(model, windows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


class Muon:
    """Momentum whose direction is made orthogonal, for the matrices of the layers."""

    def __init__(self, parameters, momentum=0.95):
        self.parameters, self.momentum = parameters, momentum
        self.moments = [torch.zeros_like(p) for p in parameters]

    @staticmethod
    def orthogonal(x):
        wide = x.shape[0] <= x.shape[1]
        x = x if wide else x.t()
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            gram = x @ x.t()
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return x if wide else x.t()

    @torch.no_grad()
    def step(self, rate, decay=0.05):
        for p, moment in zip(self.parameters, self.moments):
            moment.lerp_(p.grad, 1 - self.momentum)
            direction = self.orthogonal(p.grad.lerp(moment, self.momentum))
            p.mul_(1 - rate * decay)
            p.add_(direction, alpha=-rate * math.sqrt(max(1, p.shape[0] / p.shape[1])))


class Run:
    def __init__(self, args):
        self.args = args
        torch.manual_seed(args.seed)
        self.config = Config(VOCABULARY, hidden_size=args.hidden, intermediate_size=args.intermediate,
                             num_hidden_layers=args.layers, num_attention_heads=args.heads,
                             num_key_value_heads=args.kv_heads, rope_theta=10000.0)
        self.model = MicroLlama(self.config)
        for name, p in self.model.named_parameters():
            if p.ndim == 2:
                torch.nn.init.normal_(p, std=0.02 if "embed" in name else p.shape[1] ** -0.5)
        named = list(self.model.named_parameters())
        self.muon = Muon([p for n, p in named if p.ndim == 2 and "embed" not in n])
        self.adam = torch.optim.AdamW([p for n, p in named if p.ndim != 2 or "embed" in n],
                                      lr=args.rate, betas=(0.9, 0.95), weight_decay=0.0)
        self.step, self.seconds = 0, 0.0
        self.path = os.path.join(args.work, "latest.pt")
        if os.path.exists(self.path):
            self.load()

    def load(self):
        saved = torch.load(self.path)
        self.model.load_state_dict(saved["model"])
        self.adam.load_state_dict(saved["adam"])
        for moment, kept in zip(self.muon.moments, saved["muon"]):
            moment.copy_(kept)
        self.step, self.seconds = saved["step"], saved["seconds"]

    def save(self):
        torch.save({"model": self.model.state_dict(), "adam": self.adam.state_dict(),
                    "muon": self.muon.moments, "step": self.step, "seconds": self.seconds},
                   self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def windows(self, tokens, step):
        """The step's windows, each begun by BOS, which is token 0: drawn by (seed, step) alone."""
        short = step < SHORT_UNTIL * self.args.steps
        body = (SHORT_WINDOW if short else WINDOW) - 1
        count = self.args.batch * (WINDOW // SHORT_WINDOW if short else 1)
        begins = np.random.default_rng([self.args.seed, step]).integers(0, len(tokens) - body, count)
        bos = torch.zeros(1, dtype=torch.long)
        return torch.stack([torch.cat([bos, tokens[b:b + body]]) for b in begins])

    def held_out_loss(self, tokens, count=64):
        body = WINDOW - 1
        stride = (len(tokens) - body) // count
        with torch.no_grad():
            losses = [loss_of(self.model, torch.cat([torch.zeros(1, dtype=torch.long),
                                                     tokens[i * stride:i * stride + body]])[None])
                      for i in range(count)]
        return float(torch.stack(losses).mean())

    def train(self):
        tokens, held = tokens_of(self.args.work, "train"), tokens_of(self.args.work, "held_out")
        begun, losses = time.time() - self.seconds, []
        while self.step < self.args.steps:
            scale = min(1, (self.step + 1) / 60) * (1 - self.step / self.args.steps)
            for group in self.adam.param_groups:
                group["lr"] = self.args.rate * scale
            self.model.zero_grad()
            loss = loss_of(self.model, self.windows(tokens, self.step))
            loss.backward()
            self.adam.step()
            self.muon.step(self.args.muon_rate * scale)
            losses.append(loss.item())
            self.step += 1
            self.seconds = time.time() - begun
            if self.step % 20 == 0:
                print(f"step {self.step} loss {np.mean(losses[-20:]):.3f} "
                      f"seconds {self.seconds:.0f}", flush=True)
            if self.step % 100 == 0 or self.step == self.args.steps:
                self.save()
            if self.step % 500 == 0:
                print(f"held out {self.held_out_loss(held):.3f}", flush=True)


def export(run, args):
    """The model as a Hugging Face directory with fp16 weights."""
    os.makedirs(args.out, exist_ok=True)
    shutil.copyfile(os.path.join(args.work, "tokens", "tokenizer.json"),
                    os.path.join(args.out, "tokenizer.json"))
    hf_directory.save(args.out, run.model, max_positions=WINDOW, dtype="float16")
    held = tokens_of(args.work, "held_out")
    print("train text", ngrams.report(tokens_of(args.work, "train").numpy(), held.numpy()))
    print(f"held out, windows of {WINDOW}: {run.held_out_loss(held):.3f} nats a token")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", required=True, help="directory outside the tree")
    parser.add_argument("--out", help="write the model there: after training, or of a checkpoint")
    parser.add_argument("--steps", type=int, default=1700)
    parser.add_argument("--batch", type=int, default=8, help="windows a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--kv-heads", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    prepare(args.work)
    run = Run(args)
    print("parameters", sum(p.numel() for p in run.model.parameters()), flush=True)
    run.train()
    if args.out:
        export(run, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
