"""bench/run engine: prefill and decoding without a cache, against the best library's products of the
same shapes and against llama.cpp on the same GGUF files; batches of decoding; greedy equality.

Two models of random weights: that of `bench/run ttft`, and one of 500 M parameters (the geometry of
Qwen2 0.5B). A round is one process of each engine, one after the other; a prefill is from the prompt
to the first token chosen, the model loaded. llama.cpp runs with its defaults: batch 512, flash
attention, KV in f16; ours has KV in bf16.
"""

import json
import os
import statistics
import subprocess

from bench_model import json_of, random_model
from llama_cpp import LLAMACPP, LlamaCppMissing, converted, install, python_with_numpy

HERE = os.path.dirname(os.path.abspath(__file__))
PROSE = os.path.join(os.path.dirname(HERE), "codec", "prose")
PROGRAMS = ["prefill_bench", "greedy_bench", "numerics_bench", "batch_bench"]
ROUNDS = 3
LARGE = {"layers": 24, "hidden": 896, "heads": 14, "kv-heads": 2, "head-dim": 64, "ffn": 4864,
         "vocabulary": 151936, "positions": 8192}
SMALL_LARGE = {"layers": 2, "hidden": 128, "heads": 2, "kv-heads": 1, "head-dim": 64, "ffn": 256,
               "vocabulary": 512, "positions": 2048}
DECODED = 32
GREEDY_PROMPTS, GREEDY_TOKENS = 20, 64


def large_model(bench):
    geometry = SMALL_LARGE if bench.smoke else LARGE
    name = "random_large_smoke" if bench.smoke else "random_large"
    path = os.path.join(bench.work_folder("data"), name)
    arguments = [part for key, value in geometry.items() for part in (f"--{key}", str(value))]
    subprocess.run([python_with_numpy(), os.path.join(HERE, "make_random_model.py"), path,
                    *arguments], check=True)
    return path


class Engines:
    """Both engines on one model, alternating."""

    def __init__(self, bench, threads, has_llama):
        self.bench, self.threads, self.has_llama = bench, threads, has_llama

    def ours(self, model, tokens, *more, runs=1):
        return json_of([self.bench.program("prefill_bench"), "--model", model, "--tokens",
                        str(tokens), "--threads", str(self.threads), "--pages", "bf16", "--runs",
                        str(runs), *more])

    def theirs(self, gguf, tokens, *more):
        return json_of(["node", "prefill.mjs", "--model", gguf, "--tokens", str(tokens),
                        "--threads", str(self.threads), "--runs", "1", *more], cwd=LLAMACPP)

    def rounds(self, model, gguf, tokens, *more, theirs=()):
        """What each engine measured, in rounds; theirs is empty without llama.cpp."""
        found = ([], [])
        for _ in range(1 if self.bench.smoke else ROUNDS):
            found[0].append(self.ours(model, tokens, *more))
            if self.has_llama:
                found[1].append(self.theirs(gguf, tokens, *theirs))
        return found


def median(results, key):
    return statistics.median(result[key] for result in results)


def library_figures(engines, model, name, tokens):
    """Prefill as a whole, and its products, against the library's products."""
    rounds = 1 if engines.bench.smoke else ROUNDS
    # Several prefills a process, as the library's products are repeated too.
    runs = [engines.ours(model, tokens, "--library", runs=rounds) for _ in range(rounds)]
    prefill, products = median(runs, "prefill_ms"), median(runs, "product_ms")
    library = median(runs, "library_ms")
    flops, attention = runs[0]["product_flops"], runs[0]["attention_flops"]
    rate = flops / library
    key = f"engine.{name}.{tokens}"
    return {f"{key}.prefill_ms": prefill,
            f"{key}.library_gflops": rate / 1e6,
            f"{key}.prefill_vs_gemm": (flops + attention) / prefill / rate,
            f"{key}.sgemm_share": products / prefill,
            f"{key}.sgemm_rate": library / products}


def engine_figures(engines, files, name, tokens, kinds):
    """Prefill, and decoding behind it, against llama.cpp with the same weights."""
    figures = {}
    decode = ("--decode", str(4 if engines.bench.smoke else DECODED))
    key = f"engine.{name}.{tokens}"
    for kind in kinds:
        ours, theirs = engines.rounds(files[kind], files[kind], tokens, *decode, theirs=decode)
        for what, measured in (("prefill", "prefill_ms"), ("decode", "decode_ms_per_token")):
            mine = median(ours, measured)
            figures[f"{key}.{what}_{kind}_ms"] = mine
            if theirs:
                figures[f"{key}.{what}_vs_llamacpp_{kind}"] = median(theirs, measured) / mine
        figures[f"{key}.decode_vs_memory_{kind}"] = \
            median(ours, "read_ms") / median(ours, "decode_ms_per_token")
    return figures


def int8_prefill_figures(engines, files, name, tokens):
    """Prefill in int8 against llama.cpp's with Q8_0, which multiplies in 8 bits too."""
    ours, theirs = engines.rounds(files["f32"], files["q8_0"], tokens, "--numerics", "int8")
    key = f"engine.{name}.{tokens}"
    figures = {f"{key}.prefill_int8_ms": median(ours, "prefill_ms")}
    if theirs:
        figures[f"{key}.prefill_int8_vs_llamacpp_q8"] = \
            median(theirs, "prefill_ms") / median(ours, "prefill_ms")
    return figures


def greedy_figures(bench, threads, has_llama):
    """Prompts of trained weights that both engines continue alike, and how close the first
    difference was."""
    model = os.path.join(PROSE, "model")
    prompts, tokens = (2, 8) if bench.smoke else (GREEDY_PROMPTS, GREEDY_TOKENS)
    ours = json_of([bench.program("greedy_bench"), "--model", model, "--text",
                    os.path.join(PROSE, "corpus.txt"), "--prompts", str(prompts), "--tokens",
                    str(tokens), "--threads", str(threads)])
    if not has_llama:
        return {}
    asked = "".join(json.dumps(prompt) + "\n" for prompt in ours["prompts"])
    done = subprocess.run(["node", "answers.mjs", "--model", converted(bench, model, "f32"),
                           "--threads", str(threads), "--max-tokens", str(tokens)],
                          input=asked, capture_output=True, text=True, cwd=LLAMACPP, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    equal, gap = 0, 0.0
    for mine, other, gaps in zip(ours["answers"], answers, ours["gaps"], strict=True):
        at = next((i for i, pair in enumerate(zip(mine, other)) if pair[0] != pair[1]), None)
        if at is None and len(mine) == len(other):
            equal += 1
        else:
            at = min(len(mine), len(other), len(gaps) - 1) if at is None else at
            gap = max(gap, gaps[at])
    return {"engine.greedy_equal_prompts": equal, "engine.greedy_prompts": len(answers),
            "engine.greedy_largest_gap_at_a_difference": gap}


def int8_figures(bench, threads):
    """What int8 costs: predictions of the prose model over text it was not trained on."""
    found = json_of([bench.program("numerics_bench"), "--model", os.path.join(PROSE, "model"),
                     "--text", os.path.join(bench.root, "engine", "DESIGN.md"), "--threads",
                     str(threads), "--passages", "2" if bench.smoke else "16"])
    return {"engine.int8_kl": found["kl"], "engine.int8_top1": found["top1"],
            "engine.int8_nll_change": found["nll_int8"] - found["nll_f32"]}


def batch_figures(bench, model, threads):
    found = [json_of([bench.program("batch_bench"), "--model", model, "--threads", str(threads)])
             for _ in range(1 if bench.smoke else ROUNDS)]
    return {"engine.batch_gain": median(found, "gain")}


def run(bench):
    threads = len(os.sched_getaffinity(0))
    try:
        install(bench)
        has_llama = True
    except LlamaCppMissing as missing:
        bench.say(f"{missing}: llama.cpp is left out")
        has_llama = False
    engines = Engines(bench, threads, has_llama)
    figures = greedy_figures(bench, threads, has_llama)
    figures.update(int8_figures(bench, threads))
    models = {"small": random_model(bench), "large": large_model(bench)}
    for name, model in models.items():
        files = {kind: converted(bench, model, kind) for kind in ("f32", "f16", "q8_0")}
        for tokens in (64,) if bench.smoke else (512, 1024, 4096):
            # The longest prompts of the large model take minutes each.
            kinds = ("f32",) if name == "large" and tokens == 4096 else ("f32", "f16", "q8_0")
            figures.update(engine_figures(engines, files, name, tokens, kinds))
            figures.update(int8_prefill_figures(engines, files, name, tokens))
            if tokens <= 1024:
                figures.update(library_figures(engines, files["f32"], name, tokens))
            bench.say(json.dumps({key: round(value, 3) for key, value in figures.items()
                                  if f".{name}.{tokens}." in key}))
    figures.update(batch_figures(bench, models["large"], threads))
    return figures
