"""What the lossy presets cost in answers: sizes of the micro model's chunks where linked answers
stay right.

codec.micro_PRESET_ratio: fp16 bytes by stored bytes of all chunks (headers and tables counted) of the
worlds that `bench/run fidelity` asks about, under a profile made from other worlds.
codec.micro_PRESET_points is what the default method loses in points against itself over lossless
chunks (below 0: it wins), all kinds of questions together. The profile is learnt for the first of BUDGETS,
codec.micro_PRESET_budget, whose own step loses no more than MOST_POINTS. Where none does, it is the widest
finer step of the last that does not, found by bisection: codec.micro_PRESET_gain, in quarter octaves, 0
for the profile's own. codec.micro_PRESET_own_ratio, _own_points: at that one.
codec.micro_PRESET_profile_share: of the model's fp16 weights. codec.micro_questions: how many were
asked. codec.micro_lossless_ratio: the same of `lossless`.
"""

import bisect
import functools
import itertools
import json
import os
import re
import subprocess
import sys

from quality_figures import SMALL, weight_bytes

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fidelity"))
from fidelity_figures import DEFAULT_METHOD, SEED, generate  # noqa: E402

PROGRAMS = ["spolia-engine"]
PRESETS = ("balanced", "small")
WORLDS, LEARNT_WORLDS = 100, 200  # a family
LEARNT_SEED = SEED + 1
MOST_POINTS = 0.5
BUDGETS = ("0.0025", "0.0006", "0.00015")  # nats, as the judge of profiles measures damage
FINER, FINEST = 2, -16  # quarter octaves
# 16 sentences are coded, about as long as the longest chunks; how the question is answered is judged.
SENTENCES, BEHIND = 16, 4
PASSAGES = ["--cached", "128", "--continued", "20"]


def page_of(world):
    """Sentences around the one that answers, the question with its answer, and some more sentences: what
    the KV of such text is for."""
    text = "".join(world["chunks"])
    at = sum(map(len, world["chunks"][:world["dependent_chunk"]])) + world["dependent_char"]
    sentences = re.findall(r"[^.]*\.\s*", text)
    answering = bisect.bisect_right(list(itertools.accumulate(map(len, sentences))), at)
    begin = max(0, min(answering + BEHIND, len(sentences)) - SENTENCES)
    return ("".join(sentences[begin:begin + SENTENCES]).rstrip() +
            f"\nQuestion: {world['question']}\nAnswer: {world['answer']}\n" + "".join(sentences[:3]))


def learnt_text(bench, folder):
    """Of worlds that are not asked about."""
    worlds = os.path.join(folder, "learnt.jsonl")
    generate("trained", 4 if bench.smoke else LEARNT_WORLDS, worlds, LEARNT_SEED)
    with open(worlds, encoding="utf-8") as file:
        pages = [page_of(json.loads(line)) for line in file]
    path = os.path.join(folder, "learnt.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\f".join(pages))
    return path


def totals(scores, preset):
    """Sums over the families."""
    chosen = [s for s in scores if s["part"] == "all" and s["preset"] == preset]
    return {key: sum(s[key] for s in chosen)
            for key in ("worlds", "right", "stored_bytes", "fp16_bytes")}


def points_lost(lossless, lossy, preset):
    before, after = totals(lossless, "lossless"), totals(lossy, preset)
    return 100 * (before["right"] - after["right"]) / before["worlds"]


def ratio(scores, preset):
    sums = totals(scores, preset)
    return sums["fp16_bytes"] / sums["stored_bytes"]


def widest_bearable(measure):
    """Gain of the widest step, at most the profile's own, that loses no more than MOST_POINTS, FINEST
    where none does; and {gain: (ratio, points)} as `measure` gave them, that one and 0 among them."""
    seen = {0: measure(0)}
    if seen[0][1] <= MOST_POINTS:
        return 0, seen
    fine, coarse = FINEST, 0
    while coarse - fine > FINER:
        middle = (fine + coarse) // 2
        middle -= middle % FINER
        seen[middle] = measure(middle)
        if seen[middle][1] <= MOST_POINTS:
            fine = middle
        else:
            coarse = middle
    if fine not in seen:
        seen[fine] = measure(fine)
    return fine, seen


class Micro:
    """The model, its worlds and its profiles."""

    def __init__(self, bench):
        self.bench = bench
        self.model = os.path.join(bench.root, "engine", "models", "micro")
        self.folder = bench.work_folder("codec-micro-smoke" if bench.smoke else "codec-micro")
        self.worlds = os.path.join(self.folder, "worlds.jsonl")
        generate("trained", 2 if bench.smoke else WORLDS, self.worlds, SEED)
        self.text = learnt_text(bench, self.folder)

    def make_profile(self, preset, budget):
        path = os.path.join(self.folder, preset + ".profile")
        size = [*SMALL, "--passages", "12"] if self.bench.smoke else PASSAGES
        subprocess.run([self.bench.engine(), "profile", self.text, "--model", self.model, "--preset",
                        preset, "--most-kl", budget, "--out", path, *size], check=True,
                       stdout=sys.stderr)
        return path

    def evaluate(self, preset, profile=None):
        flags = ["--profile", profile] if profile else []
        done = subprocess.run([self.bench.engine(), "eval", self.worlds, "--model", self.model,
                               "--methods", DEFAULT_METHOD, "--presets", preset, "--max-tokens",
                               "8", "--json", *flags], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)["scores"]

    def measure(self, preset, profile, lossless, gain):
        name = f"{preset}:{gain}" if gain else preset
        scores = self.evaluate(name, profile)
        size, points = ratio(scores, name), points_lost(lossless, scores, name)
        self.bench.say(f"micro, {name}: {size:.1f}x, {points:+.2f} points lost")
        return size, points


def run(bench):
    micro = Micro(bench)
    lossless = micro.evaluate("lossless")
    figures = {"codec.micro_questions": totals(lossless, "lossless")["worlds"],
               "codec.micro_lossless_ratio": ratio(lossless, "lossless")}
    for preset in PRESETS:
        for budget in BUDGETS[-1:] if bench.smoke else BUDGETS:
            profile = micro.make_profile(preset, budget)
            measure = functools.cache(
                functools.partial(micro.measure, preset, profile, lossless))
            if measure(0)[1] <= MOST_POINTS:
                break
        gain, seen = widest_bearable(measure)
        key = "codec.micro_" + preset
        figures.update({key + "_ratio": seen[gain][0], key + "_points": seen[gain][1],
                        key + "_budget": float(budget), key + "_gain": gain, key + "_own_ratio": seen[0][0],
                        key + "_own_points": seen[0][1],
                        key + "_profile_share": os.path.getsize(profile) / weight_bytes(micro.model)})
    return figures
