"""Sizes of the lossy presets and of what they are compared with, at equal damage.

On the prose model (prose/README.md), or the model and text that the caller names: half of its pages
are then learnt from, the other half measured on. Damage is the KL divergence of the next-token
predictions over 32 tokens behind 256 cached ones, and how often the likeliest token stays the same.

codec.balanced_ratio, .small_ratio: fp16 bytes by all bytes of the stream, at KL 0.003 and 97 %.
codec.balanced_unprofiled_ratio: the same without a profile. codec.high_ratio, .high_kl: at the preset's
own step. codec.vs_cachegen_paper, .vs_kvtc: balanced and small by the other's ratio there.
codec.lossless_ratio_bf16, .zstd_ratio_bf16, .zstd_planes_ratio_bf16. codec.PRESET_preset_ratio, _kl,
_top1: at the step its profile sets. codec.PRESET_level_cost: bytes of two levels by those of one.
codec.PRESET_first_level_ratio, _kl: the first level alone. codec.PRESET_profile_share: of the model's
fp16 weights. codec.judge_kl_removed: without any cached token; codec.judge_cross_entropy.
codec.SCHEME_ratio: the others at the budget.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ["codec_quality_bench", "spolia-engine"]
PRESETS = ("balanced", "small")
BUDGET, FINE_BUDGET = "ratio_at_kl_0.003", "ratio_at_kl_0.0005"
SMALL = ["--cached", "48", "--continued", "8"]


def write_pages(path, pages):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\f".join(pages))
    return path


def tree_pages(root):
    """The project's own documents: text that is there without a network."""
    pages = []
    for folder in ("codec", "server", "engine", "."):
        for name in sorted(os.listdir(os.path.join(root, folder))):
            if name.endswith(".md"):
                with open(os.path.join(root, folder, name), encoding="utf-8") as file:
                    pages.append(file.read())
    return pages


def corpus_pages(folder):
    """(calibration, held out) of the prose corpus; its packages are downloaded once."""
    sys.path.insert(0, os.path.join(HERE, "prose"))
    import corpus
    pages = corpus.load(folder, ("calibration", "held_out"))
    return pages["calibration"], pages["held_out"]


def material(bench):
    """Model directory, file to learn from, file to measure on."""
    work = bench.work_folder("codec-quality")
    if bench.model or bench.text:
        if not (bench.model and bench.text):
            raise SystemExit("bench/run codec: --model and --text go together")
        with open(bench.text, encoding="utf-8") as file:
            pages = file.read().split("\f")
        if len(pages) < 2:
            raise SystemExit(f"{bench.text}: expected two or more pages, form feeds between them")
        model, halves = bench.model, (pages[0::2], pages[1::2])
    elif bench.smoke:
        pages = tree_pages(bench.root)
        model, halves = os.path.join(bench.root, "engine", "models", "micro"), (pages, pages)
    else:
        model = os.path.join(HERE, "prose", "model")
        halves = corpus_pages(os.path.join(work, "packages"))
    return (model, write_pages(os.path.join(work, "calibration.txt"), halves[0]),
            write_pages(os.path.join(work, "held_out.txt"), halves[1]))


def make_profile(bench, preset, model, text):
    path = os.path.join(bench.work_folder("codec-quality"), preset + ".profile")
    size = [*SMALL, "--passages", "12"] if bench.smoke else ["--passages", "1000"]
    subprocess.run([bench.engine(), "profile", text, "--model", model, "--preset", preset,
                    "--out", path, *size], check=True, stdout=sys.stderr)
    return path


def weight_bytes(model):
    """fp16 bytes of a model's tensors, from the headers of its weight files."""
    total = 0
    for name in os.listdir(model):
        if name.endswith(".safetensors"):
            with open(os.path.join(model, name), "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            for key, entry in header.items():
                if key != "__metadata__":
                    count = 1
                    for size in entry["shape"]:
                        count *= size
                    total += 2 * count
    return total


def at(scheme, budget):
    found = scheme.get(budget)
    return found["ratio"] if found else 0.0


def own_point(scheme):
    """At the preset's own step."""
    return next(p for p in scheme["curve"] if p["quality"] == 0)


def preset_figures(schemes, preset, profile, model):
    own, one = own_point(schemes[preset]), own_point(schemes[preset + "-one-level"])
    first = own_point(schemes[preset + "-first-level"])
    key = "codec." + preset
    return {key + "_ratio": at(schemes[preset], BUDGET), key + "_preset_ratio": own["ratio"],
            key + "_preset_kl": own["kl"], key + "_preset_top1": own["top1"],
            key + "_level_cost": own["bytes"] / one["bytes"],
            key + "_first_level_ratio": first["ratio"], key + "_first_level_kl": first["kl"],
            key + "_profile_share": os.path.getsize(profile) / weight_bytes(model)}


def run(bench):
    model, calibration, held_out = material(bench)
    profiles = {preset: make_profile(bench, preset, model, calibration) for preset in PRESETS}
    size = [*SMALL, "--passages", "4", "--calibration-passages", "12"] if bench.smoke else [
        "--passages", "512"]
    plot = [] if bench.smoke or bench.model else [
        "--plot", os.path.join(bench.root, "bench", "report", "codec_rate_distortion.png")]
    done = subprocess.run([bench.program("codec_quality_bench"), "--model", model, "--text", held_out,
                           "--calibration", calibration, *size, *plot,
                           *(a for p in profiles.values() for a in ("--profile", p))],
                          stdout=subprocess.PIPE, text=True, check=True)
    got = json.loads(done.stdout)
    with open(os.path.join(bench.work_folder("codec-quality"), "curves.json"), "w",
              encoding="utf-8") as file:
        file.write(done.stdout)
    schemes = got["schemes"]
    figures = {"codec.judge_kl_removed": got["removed"]["kl"],
               "codec.judge_cross_entropy": got["cross_entropy"],
               "codec.high_ratio": own_point(schemes["high-f16"])["ratio"],
               "codec.high_kl": own_point(schemes["high-f16"])["kl"],
               "codec.balanced_unprofiled_ratio": at(schemes["balanced-unprofiled"], BUDGET)}
    for preset, profile in profiles.items():
        figures.update(preset_figures(schemes, preset, profile, model))
    for name in ("cachegen-paper", "cachegen-released", "kvtc", "kvtc-kind", "kivi",
                 "kivi-no-residual"):
        figures[f"codec.{name.replace('-', '_')}_ratio"] = at(schemes[name], BUDGET)
    for ours, other in (("balanced", "cachegen_paper"), ("small", "kvtc")):
        ratio = figures[f"codec.{other}_ratio"]
        figures[f"codec.vs_{other}"] = figures[f"codec.{ours}_ratio"] / ratio if ratio else 0.0
    for name, scheme in (("lossless", "lossless-bf16"), ("zstd", "zstd-bf16"),
                         ("zstd_planes", "zstd-planes-bf16")):
        figures[f"codec.{name}_ratio_bf16"] = schemes[scheme]["curve"][0]["ratio"]
    return figures
