"""The fixed model that speed is measured on, and its profiles."""

import json
import os
import subprocess
import sys

from llama_cpp import python_with_numpy

HERE = os.path.dirname(os.path.abspath(__file__))
SMOKE_MODEL = {"layers": 2, "hidden": 64, "heads": 4, "kv-heads": 2, "head-dim": 16, "ffn": 128,
               "vocabulary": 512, "positions": 1024}
SMOKE_PROMPT = ["--chunks", "4", "--chunk-tokens", "64"]
SMOKE_PROFILE = ["--passages", "12", "--cached", "48", "--continued", "8"]
PASSAGES = ["--passages", "48", "--judged", "8", "--continued", "8"]
# A profile knows each token of the vocabulary, learnt by a pass of one row each, which reads all weights:
# minutes for every thousand. Of this model's tokens 258 have a text.
SMALL_VOCABULARY = 512
# What profiles of it are learnt from, and what is asked over them: text that is there without a
# network. Of a random model all that text says is which tokens follow which.
LEARNT = ("codec/FORMAT.md", "server/DESIGN.md", "README.md")
ASKED = "engine/DESIGN.md"


def json_of(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options)
    return json.loads(done.stdout.strip().split("\n")[-1])


def random_model(bench, **sizes):
    name = "random_model" + "".join(f"_{size}" for size in sizes.values())
    if bench.smoke:
        name, sizes = "random_model_smoke", SMOKE_MODEL
    folder = os.path.join(bench.work_folder("data"), name)
    flags = [part for key, value in sizes.items() for part in ("--" + key, str(value))]
    subprocess.run([python_with_numpy(), os.path.join(HERE, "make_random_model.py"), folder, *flags],
                   check=True, stdout=sys.stderr)
    return folder


def profiled_model(bench):
    """The same, but for the ids without text."""
    return random_model(bench, vocabulary=SMALL_VOCABULARY)


def asked_text(bench):
    return os.path.join(bench.root, ASKED)


def profile_of(bench, model, preset):
    """Made anew only when engine, model or recipe are newer: it takes minutes."""
    path = f"{model}.{preset}.profile"
    sources = (bench.engine(), os.path.join(model, "recipe.json"), __file__)
    if os.path.exists(path) and os.path.getmtime(path) > max(map(os.path.getmtime, sources)):
        return path
    text = path + ".txt"
    with open(text, "w", encoding="utf-8") as out:
        pages = []
        for name in LEARNT:
            with open(os.path.join(bench.root, name), encoding="utf-8") as page:
                pages.append(page.read())
        out.write("\f".join(pages))
    bench.say(f"profile of the bench model, {preset}")
    subprocess.run([bench.engine(), "profile", text, "--model", model, "--preset", preset, "--out",
                    path, *(SMOKE_PROFILE if bench.smoke else PASSAGES)], check=True,
                   stdout=sys.stderr)
    return path
