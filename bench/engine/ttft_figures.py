"""bench/run ttft: time to the first token over 16 stored chunks of 256 tokens, cold, against full
recompute, against the same rows with their KV in pages already, and prefill against llama.cpp's; and
through a narrow link (link_figures.py).

ttft_bench makes one measurement a process; cold is: a new process, no memory tier, O_DIRECT (what the
host below caches is not known). A round is one of each, so that all see the same machine.
"""

import os
import shutil
import statistics
import tempfile

import link_figures
from bench_model import SMOKE_PROMPT, json_of, random_model
from llama_cpp import LLAMACPP, LlamaCppMissing, converted, install

PROGRAMS = ["ttft_bench", "prefill_bench", *link_figures.PROGRAMS]
ROUNDS = 5


class LlamaCpp:
    """Prefill by llama.cpp on the same weights; absent where npm or the package is."""

    def __init__(self, bench, model, tokens, threads):
        self.command = None
        try:
            install(bench)
        except LlamaCppMissing as missing:
            bench.say(f"{missing}: llama.cpp is left out")
            return
        self.command = ["node", "prefill.mjs", "--model", converted(bench, model, "f32"),
                        "--tokens", str(tokens), "--threads", str(threads), "--runs", "1"]

    def prefill(self):
        return json_of(self.command, cwd=LLAMACPP)["prefill_ms"]


def run(bench):
    threads = len(os.sched_getaffinity(0))
    model = random_model(bench)
    store = tempfile.mkdtemp(prefix="store", dir=bench.work_folder("data"))
    prompt = SMOKE_PROMPT if bench.smoke else []
    ttft = [bench.program("ttft_bench"), "--model", model, "--store", store,
            "--threads", str(threads), *prompt]
    tokens = 256 if bench.smoke else 4096
    ours = [bench.program("prefill_bench"), "--model", model, "--tokens", str(tokens),
            "--threads", str(threads), "--pages", "bf16", "--runs", "1"]
    seen = {key: [] for key in ("full", "first_k", "resident", "waited", "open", "prefill",
                                "llamacpp", "full_cpu", "first_k_cpu", "resident_cpu")}
    try:
        stored = json_of([*ttft, "prepare"])["stored_bytes"]
        llama = LlamaCpp(bench, model, tokens, threads)
        for index in range(1 if bench.smoke else ROUNDS):
            full = json_of([*ttft, "full"])
            linked = json_of([*ttft, "first-k"])
            for key, value in (("full", full["ms"]), ("full_cpu", full["cpu_ms"]),
                               ("first_k", linked["ms"]), ("first_k_cpu", linked["cpu_ms"]),
                               ("resident", linked["resident_ms"]),
                               ("resident_cpu", linked["resident_cpu_ms"]),
                               ("waited", linked["waited_ms"]), ("open", linked["open_ms"])):
                seen[key].append(value)
            seen["prefill"].append(json_of(ours)["prefill_ms"])
            if llama.command:
                seen["llamacpp"].append(llama.prefill())
            bench.say(f"round {index + 1}: " + ", ".join(
                f"{key} {values[-1]:.1f} ms" for key, values in seen.items() if values))
    finally:
        shutil.rmtree(store, ignore_errors=True)
    return {**figures_of(seen, linked, stored), **link_figures.run(bench)}


def figures_of(seen, linked, stored):
    median = {key: statistics.median(values) for key, values in seen.items() if values}
    figures = {
        "ttft.full_ms": median["full"],
        "ttft.first_k_ms": median["first_k"],
        "ttft.resident_ms": median["resident"],
        "ttft.waited_ms": median["waited"],
        "ttft.open_ms": median["open"],
        "ttft.speedup": median["full"] / median["first_k"],
        "ttft.cold_vs_resident": median["first_k"] / median["resident"],
        # Processor time, which other programs on the machine distort less.
        "ttft.full_cpu_ms": median["full_cpu"],
        "ttft.first_k_cpu_ms": median["first_k_cpu"],
        "ttft.resident_cpu_ms": median["resident_cpu"],
        "ttft.rows_computed": linked["rows_computed"],
        "ttft.bytes_read": linked["bytes_read"],
        "ttft.stored_bytes": stored,
        "ttft.prefill_ms": median["prefill"],
    }
    if "llamacpp" in median:
        figures["ttft.llamacpp_prefill_ms"] = median["llamacpp"]
        figures["ttft.prefill_vs_llamacpp"] = median["llamacpp"] / median["prefill"]
    return figures
