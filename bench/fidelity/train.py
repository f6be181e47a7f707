#!/usr/bin/env python3
"""Trains the micro model on one core; a killed run goes on from its last checkpoint.

A step computes a few worlds once and asks many questions about each in the same pass: a question
block sees the documents and itself, at the positions it would have if it were the only one. What
each step draws depends on (seed, step, stage) alone, so a resumed run equals an unbroken one.

The answer's token weighs 1, the EOS after it 0.1, document tokens 0.05 on every eighth step. Where
the answer stands is known, so head 0 of layer 1 is taught to look from values, pronouns and the
question's last token to the person, head 0 of layer 2 from the question's last token to whom is
asked about in the end (the second person of a relation, else the person in the question), and head 0
of the last layer but one from there to the value, with a weight that fades to zero at 70 % of the
steps.

Usage: train.py --checkpoint DIR [--steps N] [--seed S]
"""

import argparse
import dataclasses
import json
import math
import os
import random
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch
import torch.nn.functional as F

from bpe import Tokenizer
from micro_llama import Config, MicroLlama, rope_tables, rotate
from structured_init import structured_init
from training_data import STAGES, make_batch

WARM_UP_STEPS = 200
GUIDE_WEIGHT, GUIDE_UNTIL = 0.3, 0.7
NEXT_STAGE_AT = 0.85
EARLIER_STAGE_SHARE = 0.2
LANGUAGE_EVERY, LANGUAGE_WEIGHT, EOS_WEIGHT = 8, 0.05, 0.1
PERSON_LAYER, TARGET_LAYER = 1, 2


class Pass:
    """One forward pass over a batch; keeps the attention weights that are guided."""

    def __init__(self, model: MicroLlama, batch, language: bool):
        self.model, self.language = model, language
        config = model.config
        self.value_layer = config.num_hidden_layers - 2
        self.worlds, self.rows = batch.docs.shape
        self.questions, self.length = batch.blocks.shape[1:]
        rows, own = torch.arange(self.rows), torch.arange(self.length)
        self.doc_rope = rope_tables(rows, config)
        cos, sin = rope_tables(self.rows + own, config)
        self.block_rope = (cos.repeat(self.questions, 1), sin.repeat(self.questions, 1))
        self.doc_mask = torch.where(rows[None] <= rows[:, None], 0.0, -1e9)
        self.own_mask = torch.where(own[None] <= own[:, None], 0.0, -1e9)
        embed = model.model.embed_tokens
        self.x, self.y = embed(batch.docs), embed(batch.blocks).flatten(1, 2)
        for index, layer in enumerate(model.model.layers):
            self.step(index, layer)

    def own_shape(self, x):
        """[B, heads, Q*L, D] -> [B, heads, Q, L, D]."""
        return x.unflatten(2, (self.questions, self.length))

    def step(self, index, layer):
        attention = layer.self_attn
        docs, blocks = layer.input_layernorm(self.x), layer.input_layernorm(self.y)
        k, v = attention.keys_values(docs)
        k = rotate(k, *self.doc_rope)
        self.block_step(index, layer, blocks, k, v)
        if index == self.model.config.num_hidden_layers - 1 and not self.language:
            return  # nothing looks at the documents' rows any more
        q = rotate(attention.queries(docs), *self.doc_rope)
        weights = (attention.scores(q, k) + self.doc_mask).softmax(-1)
        if index == PERSON_LAYER:
            self.doc_person = weights[:, 0]
        self.x = layer.finish(self.x, attention.mix(weights, v))

    def block_step(self, index, layer, blocks, doc_k, doc_v):
        attention = layer.self_attn
        repeat = self.model.config.num_attention_heads // self.model.config.num_key_value_heads
        k, v = attention.keys_values(blocks)
        k, q = rotate(k, *self.block_rope), rotate(attention.queries(blocks), *self.block_rope)
        own_k, own_v, own_q = (self.own_shape(t) for t in (k, v, q))
        own_k, own_v = (t.repeat_interleave(repeat, 1) for t in (own_k, own_v))
        own = own_q @ own_k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + self.own_mask
        scores = torch.cat([attention.scores(q, doc_k), own.flatten(2, 3)], -1)
        weights = scores.softmax(-1)
        to_docs, to_own = weights[..., :self.rows], self.own_shape(weights[..., self.rows:])
        if index == PERSON_LAYER:
            self.block_person = to_own[:, 0]
        if index == TARGET_LAYER:
            self.block_target = torch.cat(
                [self.own_shape(to_docs[:, :1])[:, 0], to_own[:, 0]], -1)
        if index == self.value_layer:
            self.block_value = self.own_shape(to_docs[:, :1])[:, 0]
        heads = attention.mix(to_docs, doc_v) + (to_own @ own_v).flatten(2, 3)
        self.y = layer.finish(self.y, heads)

    def guide(self, batch):
        """How far attention is from where it should look: a mean for each kind of reference."""
        world, question, last, row, _ = batch.answers.t()
        block = batch.block_refs.t()
        looks = [self.block_value[world, question, last, row],
                 self.block_person[block[0], block[1], block[2], block[3]]]
        for refs in (batch.doc_refs, batch.guest_refs):
            if len(refs):
                ref = refs.t()
                looks.append(self.doc_person[ref[0], ref[1], ref[2]])
        hops = batch.targets[:, 3] < self.rows
        for chosen in (hops, ~hops):
            if chosen.any():
                target = batch.targets[chosen].t()
                looks.append(self.block_target[target[0], target[1], target[2], target[3]])
        return -sum((look + 1e-20).log().mean() for look in looks)

    def losses(self, batch):
        """(answers, guide, language, share of right answers)."""
        world, question, last, row, value = batch.answers.t()
        y = self.own_shape(self.y[:, None])[:, 0]
        logits = self.model.logits(torch.cat([y[world, question, last],
                                              y[world, question, last + 1]]))
        count = len(value)
        eos = torch.full_like(value, TrainingRun.eos)
        answers = F.cross_entropy(logits[:count], value) \
            + EOS_WEIGHT * F.cross_entropy(logits[count:], eos)
        right = (logits[:count].argmax(-1) == value).float().mean().item()
        guide = self.guide(batch)
        language = torch.zeros(())
        if self.language:
            language = F.cross_entropy(self.model.logits(self.x[:, :-1]).flatten(0, 1),
                                       batch.docs[:, 1:].flatten())
        return answers, guide, language, right


class TrainingRun:
    """Model, optimiser and curriculum, as one thing that is saved and resumed."""
    eos = 1

    def __init__(self, args):
        self.args = args
        self.tokenizer = Tokenizer(args.tokenizer)
        TrainingRun.eos = self.tokenizer.eos
        self.config = Config(len(self.tokenizer.ids), hidden_size=args.hidden,
                             intermediate_size=args.intermediate, num_hidden_layers=args.layers,
                             num_attention_heads=args.heads, num_key_value_heads=args.kv_heads,
                             rope_theta=args.rope_theta)
        self.model = MicroLlama(self.config)
        structured_init(self.model, self.tokenizer, args.seed)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=args.rate,
                                           betas=(0.9, 0.95), weight_decay=0.01)
        self.progress = {"step": 0, "stage": 0, "accuracy": 0.0, "seconds": 0.0}
        self.path = os.path.join(args.checkpoint, "latest.pt")
        if os.path.exists(self.path):
            self.load()

    def load(self):
        saved = torch.load(self.path)
        if saved["config"] != dataclasses.asdict(self.config):
            raise SystemExit(f"{self.path}: another model shape: {saved['config']}")
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.progress = saved["progress"]

    def save(self):
        os.makedirs(self.args.checkpoint, exist_ok=True)
        torch.save({"config": dataclasses.asdict(self.config), "model": self.model.state_dict(),
                    "optimiser": self.optimiser.state_dict(), "progress": self.progress,
                    "arguments": vars(self.args)}, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def rate(self, step):
        done = step / self.args.steps
        return self.args.rate * min(1, (step + 1) / WARM_UP_STEPS) \
            * max(0.05, 0.5 * (1 + math.cos(math.pi * min(1, done))))

    def train_step(self):
        step, stage = self.progress["step"], self.progress["stage"]
        rng = random.Random(f"{self.args.seed}/{step}")
        if stage and rng.random() < EARLIER_STAGE_SHARE:
            drawn = rng.randrange(stage)
        else:
            drawn = stage
        batch = make_batch(rng, STAGES[drawn], self.tokenizer)
        answers, guide, language, right = \
            Pass(self.model, batch, step % LANGUAGE_EVERY == 0).losses(batch)
        weight = GUIDE_WEIGHT * max(0.0, 1 - step / (GUIDE_UNTIL * self.args.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        self.optimiser.zero_grad()
        (answers + weight * guide + LANGUAGE_WEIGHT * language).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        if drawn == stage:
            self.progress["accuracy"] = 0.97 * self.progress["accuracy"] + 0.03 * right
        self.progress["step"] += 1
        return answers.item(), guide.item()

    def run(self):
        begun = time.time() - self.progress["seconds"]
        while self.progress["step"] < self.args.steps:
            answers, guide = self.train_step()
            state = self.progress
            state["seconds"] = time.time() - begun
            if state["step"] % self.args.log_every == 0:
                print(json.dumps({**{k: round(v, 3) for k, v in state.items()},
                                  "answers": round(answers, 3), "guide": round(guide, 3)}),
                      flush=True)
            if state["step"] % 250 == 0 or state["step"] == self.args.steps:
                self.save()
            if state["accuracy"] > NEXT_STAGE_AT and state["stage"] < len(STAGES) - 1:
                state.update(stage=state["stage"] + 1, accuracy=0.3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", required=True, help="directory, outside the tree")
    parser.add_argument("--tokenizer", default="engine/models/micro/tokenizer.json")
    parser.add_argument("--steps", type=int, default=6500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--rope-theta", type=float, default=500000.0)
    parser.add_argument("--log-every", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    run = TrainingRun(args)
    print("parameters", sum(p.numel() for p in run.model.parameters()), flush=True)
    run.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
