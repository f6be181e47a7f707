"""What the lossy presets cost in answers: sizes of the micro model's chunks where linked answers
stay right.

codec.micro_PRESET_ratio: fp16 bytes by stored bytes of all chunks (headers and tables counted) of the
worlds that `bench/run fidelity` asks about, under a profile made from other worlds. Each question is
answered by reuse and by first-k; codec.micro_PRESET_points is what the worse of the two loses in
points against itself over lossless chunks (below 0: it wins). Where the profile's own step loses more
than MOST_POINTS, the step is made finer until it does not: codec.micro_PRESET_gain, in quarter
octaves, 0 for the profile's own. codec.micro_PRESET_profile_share: of the model's fp16 weights.
codec.micro_questions: how many were asked. codec.micro_lossless_ratio: the same of `lossless`.
"""

import functools
import json
import os
import subprocess
import sys

from quality_figures import SMALL, weight_bytes

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fidelity"))
from fidelity_figures import SEED, generate  # noqa: E402

PROGRAMS = ["spolia-engine"]
PRESETS = ("balanced", "small")
METHODS = ("reuse", "first-k")
WORLDS, LEARNT_WORLDS = 250, 200  # a family
LEARNT_SEED = SEED + 1
MOST_POINTS = 0.5
FINER, FINEST = 2, -24  # quarter octaves


def learnt_text(bench, folder):
    """Documents of worlds that are not asked about, one a page."""
    worlds = os.path.join(folder, "learnt.jsonl")
    generate("trained", 4 if bench.smoke else LEARNT_WORLDS, worlds, LEARNT_SEED)
    with open(worlds, encoding="utf-8") as file:
        pages = ["".join(json.loads(line)["chunks"]) for line in file]
    path = os.path.join(folder, "learnt.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\f".join(pages))
    return path


def totals(scores, preset, method):
    """Sums over the families."""
    chosen = [s for s in scores if s["part"] == "all" and s["preset"] == preset
              and s["method"] == method]
    return {key: sum(s[key] for s in chosen)
            for key in ("worlds", "right", "stored_bytes", "fp16_bytes")}


def points_lost(lossless, lossy, preset):
    """By the method that loses more, in points."""
    lost = []
    for method in METHODS:
        before, after = totals(lossless, "lossless", method), totals(lossy, preset, method)
        lost.append(100 * (before["right"] - after["right"]) / before["worlds"])
    return max(lost)


def ratio(scores, preset):
    sums = totals(scores, preset, METHODS[0])
    return sums["fp16_bytes"] / sums["stored_bytes"]


def widest_bearable(evaluate, preset, lossless):
    """(gain, scores, points) of the widest step, at most the profile's own, that loses no more than
    MOST_POINTS; of the finest tried where none does."""
    for gain in range(0, FINEST - 1, -FINER):
        name = f"{preset}:{gain}" if gain else preset
        scores = evaluate(name)
        points = points_lost(lossless, scores, name)
        if points <= MOST_POINTS:
            break
    return gain, ratio(scores, name), points


class Micro:
    """The model, its worlds and its profiles."""

    def __init__(self, bench):
        self.bench = bench
        self.model = os.path.join(bench.root, "engine", "models", "micro")
        self.folder = bench.work_folder("codec-micro-smoke" if bench.smoke else "codec-micro")
        self.worlds = os.path.join(self.folder, "worlds.jsonl")
        generate("trained", 2 if bench.smoke else WORLDS, self.worlds, SEED)
        self.text = learnt_text(bench, self.folder)

    def make_profile(self, preset):
        path = os.path.join(self.folder, preset + ".profile")
        size = [*SMALL, "--passages", "12"] if self.bench.smoke else []
        subprocess.run([self.bench.engine(), "profile", self.text, "--model", self.model, "--preset",
                        preset, "--out", path, *size], check=True, stdout=sys.stderr)
        return path

    def evaluate(self, preset, profile=None):
        flags = ["--profile", profile] if profile else []
        done = subprocess.run([self.bench.engine(), "eval", self.worlds, "--model", self.model,
                               "--methods", ",".join(METHODS), "--presets", preset, "--max-tokens",
                               "8", "--json", *flags], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)["scores"]


def run(bench):
    micro = Micro(bench)
    lossless = micro.evaluate("lossless")
    figures = {"codec.micro_questions": totals(lossless, "lossless", METHODS[0])["worlds"],
               "codec.micro_lossless_ratio": ratio(lossless, "lossless")}
    for preset in PRESETS:
        profile = micro.make_profile(preset)
        evaluate = functools.partial(micro.evaluate, profile=profile)
        gain, size, points = widest_bearable(evaluate, preset, lossless)
        key = "codec.micro_" + preset
        figures.update({key + "_ratio": size, key + "_points": points, key + "_gain": gain,
                        key + "_profile_share": os.path.getsize(profile) / weight_bytes(micro.model)})
        bench.say(f"micro, {preset}: {size:.1f}x at gain {gain}, {points:+.2f} points lost")
    return figures
