"""bench/run fidelity: share of right answers by linking method, on the same generated worlds.

For each family and method: fidelity.<family>.<method>, and the same for the worlds whose dependent
sentence starts inside or beyond the first k rows of its chunk (_inside, _beyond). Intervals of 95 %:
<key>.low and <key>.high (Wilson); <key>.loss is `full` minus the method on the same worlds, with the
interval of the paired difference (bootstrap over worlds, fixed seed).
"""

import json
import os
import random
import subprocess
import sys

PROGRAMS = ["fidelity_bench"]
HERE = os.path.dirname(os.path.abspath(__file__))
METHODS = ("full", "reuse", "first-k")
WORLDS = 500
SEED = 7
RESAMPLES = 2000
Z = 1.96  # 95 %


def worlds_of(family, count):
    command = [sys.executable, os.path.join(HERE, "generator.py"), "--family", family,
               "--worlds", str(count), "--seed", str(SEED)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def answers_of(bench, family, count):
    model = os.path.join(bench.root, "engine", "models", "micro")
    command = [bench.program("fidelity_bench"), "--model", model, "--methods", ",".join(METHODS)]
    done = subprocess.run(command, input=worlds_of(family, count), stdout=subprocess.PIPE,
                          text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def wilson(right, count):
    share, z2 = right / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * ((share * (1 - share) + z2 / (4 * count)) / count) ** 0.5 / (1 + z2 / count)
    # Rounding may leave the ends a little outside.
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_loss(answers, method):
    """(mean, low, high) of full minus method over the worlds."""
    differences = [a["right"]["full"] - a["right"][method] for a in answers]
    rng = random.Random(SEED)
    means = sorted(sum(rng.choices(differences, k=len(differences))) / len(differences)
                   for _ in range(RESAMPLES))
    return (sum(differences) / len(differences), means[int(0.025 * RESAMPLES)],
            means[int(0.975 * RESAMPLES) - 1])


def add_figures(figures, key, answers, method):
    if not answers:
        return
    right = sum(a["right"][method] for a in answers)
    figures[key] = right / len(answers)
    figures[key + ".low"], figures[key + ".high"] = wilson(right, len(answers))
    if method != "full":
        loss = paired_loss(answers, method)
        for name, value in zip((".loss", ".loss_low", ".loss_high"), loss):
            figures[key + name] = value


def run(bench):
    import generator  # pylint: disable=import-outside-toplevel
    figures = {}
    for family in generator.FAMILIES:
        answers = answers_of(bench, family, 4 if bench.smoke else WORLDS)
        parts = {"": answers, "_inside": [a for a in answers if a["inside"]],
                 "_beyond": [a for a in answers if not a["inside"]]}
        for method in METHODS:
            for part, chosen in parts.items():
                add_figures(figures, f"fidelity.{family}.{method}{part}", chosen, method)
            bench.say(f"{family} {method}: " + ", ".join(
                f"{part.strip('_') or 'all'} {figures[f'fidelity.{family}.{method}{part}']:.3f}"
                for part, chosen in parts.items() if chosen))
        for part, chosen in parts.items():
            figures[f"fidelity.{family}.worlds{part}"] = len(chosen)
    return figures
