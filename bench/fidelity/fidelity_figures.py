"""bench/run fidelity: share of right answers by linking method, on the same generated worlds.

`spolia-engine eval` answers and scores; the keys here are its figures. For each family and method:
fidelity.<family>.<method>, and the same for the worlds whose dependent sentence starts inside or
beyond the first k rows of its chunk (_inside, _beyond); <key>.low and <key>.high are its 95 %
interval, <key>.loss is `full` minus the method on the same worlds, with .loss_low and .loss_high.
fidelity.held_out.<family>...: the same over templates that no training world contains.

fidelity.gap_points: the largest loss of the default method against `full` inside k, in points, over
all families. fidelity.llamacpp_agreement: on how many prompts llama.cpp, fed the converted weights,
gives the very answer that `full` gives.
"""

import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "engine"))
from llama_cpp import LLAMACPP, LlamaCppMissing, converted, install  # noqa: E402

PROGRAMS = ["spolia-engine"]
METHODS = ("full", "reuse", "first-k")
DEFAULT_METHOD = "first-k"
PRESETS = ("high",)
WORLDS, HELD_OUT_WORLDS = 2000, 250
COMPARED = 100  # prompts a family that llama.cpp answers too
SEED = 7


def generate(templates, worlds, path, seed=SEED):
    with open(path, "w", encoding="utf-8") as file:
        subprocess.run([sys.executable, os.path.join(HERE, "generator.py"), "--templates",
                        templates, "--worlds", str(worlds), "--seed", str(seed)], stdout=file,
                       check=True)


class Evaluation:
    """One run of `spolia-engine eval`."""

    def __init__(self, bench, worlds, plot=None):
        model = os.path.join(bench.root, "engine", "models", "micro")
        self.answers = worlds + ".answers"
        command = [os.path.join(bench.build, "engine", "spolia-engine"), "eval", worlds, "--model",
                   model, "--methods", ",".join(METHODS), "--presets", ",".join(PRESETS),
                   "--max-tokens", "8", "--answers", self.answers, "--json"]
        done = subprocess.run(command + (["--plot", plot] if plot else []), stdout=subprocess.PIPE,
                              text=True, check=True)
        self.scores = json.loads(done.stdout)["scores"]

    def add_figures(self, figures, prefix):
        for score in self.scores:
            part = "" if score["part"] == "all" else "_" + score["part"]
            key = f"{prefix}.{score['family']}.{score['method']}{part}"
            figures[key] = score["share"]
            figures[key + ".low"], figures[key + ".high"] = score["low"], score["high"]
            figures[f"{prefix}.{score['family']}.worlds{part}"] = score["worlds"]
            if score["method"] != "full":
                for name in ("loss", "loss_low", "loss_high"):
                    figures[f"{key}.{name}"] = score[name]

    def gap_points(self):
        return 100 * max(0.0, *(score["loss"] for score in self.scores
                                if score["method"] == DEFAULT_METHOD and score["part"] == "inside"))

    def say(self, bench, title):
        for score in self.scores:
            bench.say(f"{title} {score['family']:12s} {score['method']:10s} {score['part']:7s} "
                      f"{100 * score['share']:5.1f} % of {score['worlds']}, rows computed "
                      f"{100 * score['rows_share']:.0f} %")


def tokens_of(tokenizer, world):
    from generator import prompt_segments  # pylint: disable=import-outside-toplevel
    return [tokenizer.bos] + sum((tokenizer.encode(t) for t in prompt_segments(world)), [])


def llamacpp_agreement(bench, worlds, answers):
    """Share of the prompts that llama.cpp answers as `full` did; None where it cannot be had."""
    from bpe import Tokenizer  # pylint: disable=import-outside-toplevel
    model = os.path.join(bench.root, "engine", "models", "micro")
    try:
        install(bench)
        gguf = converted(bench, model, "f32")
    except LlamaCppMissing as missing:
        bench.say(f"{missing}: llama.cpp is left out")
        return None
    tokenizer = Tokenizer(os.path.join(model, "tokenizer.json"))
    prompts, ours, seen = [], [], {}
    with open(worlds, encoding="utf-8") as world_file, open(answers, encoding="utf-8") as file:
        for world, answer in zip(map(json.loads, world_file), map(json.loads, file)):
            seen[world["family"]] = seen.get(world["family"], 0) + 1
            if seen[world["family"]] <= COMPARED:
                prompts.append(json.dumps(tokens_of(tokenizer, world)))
                ours.append(answer["trials"][0]["given"])
    done = subprocess.run(["node", "answers.mjs", "--model", gguf], input="\n".join(prompts) + "\n",
                          cwd=LLAMACPP, stdout=subprocess.PIPE, text=True, check=True)
    theirs = [tokenizer.decode(json.loads(line)).strip() for line in done.stdout.splitlines()]
    for own, other in zip(ours, theirs):
        if own != other:
            bench.say(f"llama.cpp answers {other!r} where full answers {own!r}")
    return sum(own == other for own, other in zip(ours, theirs)) / len(ours)


def run(bench):
    figures = {}
    with tempfile.TemporaryDirectory(dir=bench.work_folder("data")) as folder:
        worlds = os.path.join(folder, "worlds.jsonl")
        generate("trained", 4 if bench.smoke else WORLDS, worlds)
        evaluation = Evaluation(bench, worlds,
                                os.path.join(bench.work_folder("data"), "fidelity.png"))
        evaluation.say(bench, "")
        evaluation.add_figures(figures, "fidelity")
        if not bench.smoke:
            figures["fidelity.gap_points"] = evaluation.gap_points()
        agreement = llamacpp_agreement(bench, worlds, evaluation.answers)
        if agreement is not None:
            figures["fidelity.llamacpp_agreement"] = agreement
        generate("held-out", 4 if bench.smoke else HELD_OUT_WORLDS, worlds)
        held_out = Evaluation(bench, worlds)
        held_out.say(bench, "held out:")
        held_out.add_figures(figures, "fidelity.held_out")
    return figures
