"""Time to the first token when the cache is behind a link of 12.5 MB/s (100 Mbit/s): the same 16 chunks
of 256 tokens, linked by first-k, from a spoliad through a token bucket (throttled_relay.py); two
threads, each measurement a new process. Rounds alternate; every ratio is one of medians.

ttft.link_vs_raw: KV stored as it is in fp16 (raw_chunks.h: the same rows recomputed, layers loaded
ahead in the same way) by the engine's default preset, `high`. ttft.link_vs_raw_PRESET: by the others,
with profiles learnt from the model's own KV (the bench model, of 512 tokens only: bench_model.py).
ttft.link_raw_ms, .link_PRESET_ms: the times; _cpu_ms: the engine's processor time in them, which other
programs on the machine distort less. ttft.link_raw_bytes, .link_PRESET_bytes: all that came through
the link, protocol and headers included.
codec.first_level_ttft_share: with the first level of `balanced` alone, by all levels.
The random weights' KV has none of the structure that profiles find in a trained model's: what presets
save here is less than on text.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile

from bench_model import SMOKE_PROMPT, asked_text, json_of, profile_of, profiled_model
from throttled_relay import ThrottledRelay

PROGRAMS = ["ttft_bench", "spoliad", "spolia-engine"]
RATE = 12.5e6
ROUNDS = 5
DEFAULT = "high"
PROFILED = ("balanced", "small")


@contextlib.contextmanager
def server(bench, folder):
    """Port of a spoliad over a store of its own."""
    with subprocess.Popen([os.path.join(bench.build, "server", "spoliad"), "--store", folder,
                           "--capacity", "1 GiB", "--listen", "127.0.0.1:0", "--log-level", "warn"],
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            port = None
            for line in process.stdout:
                port = next((int(word.rsplit(":", 1)[1]) for word in line.split()
                             if word.startswith("spolia://")), port)
                if line == "ready\n":
                    break
            yield port
        finally:
            process.terminate()


class Side:
    """One preset, or "raw": its chunks in a server of its own, filled past the link."""

    def __init__(self, bench, stack, command, preset, profile):
        self.flags = [*command, "--preset", "lossless" if preset == "raw" else preset,
                      *(["--profile", profile] if profile else [])]
        self.what = "raw" if preset == "raw" else "first-k"
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=bench.work_folder("data")))
        port = stack.enter_context(server(bench, folder))
        prepare = "prepare-raw" if preset == "raw" else "prepare"
        json_of([*self.flags, "--cache", f"spolia://127.0.0.1:{port}", prepare], stderr=sys.stderr)
        self.relay = stack.enter_context(ThrottledRelay(port, RATE))

    def measure(self, *flags):
        before = self.relay.bucket.passed
        got = json_of([*self.flags, "--cache", f"spolia://127.0.0.1:{self.relay.port}", *flags,
                       self.what])
        return {**got, "link_bytes": self.relay.bucket.passed - before}


def run(bench):
    model = profiled_model(bench)
    profiles = {preset: profile_of(bench, model, preset) for preset in PROFILED}
    command = [bench.program("ttft_bench"), "--model", model, "--text", asked_text(bench),
               "--threads", str(len(os.sched_getaffinity(0))), *(SMOKE_PROMPT if bench.smoke else [])]
    with contextlib.ExitStack() as stack:
        sides = {name: Side(bench, stack, command, name, profiles.get(name))
                 for name in ("raw", DEFAULT, *PROFILED)}
        seen = {name: [] for name in (*sides, "first_level")}
        for index in range(1 if bench.smoke else ROUNDS):
            for name, side in sides.items():
                seen[name].append(side.measure())
            seen["first_level"].append(sides["balanced"].measure("--levels", "1"))
            bench.say(f"link, round {index + 1}: " + ", ".join(
                f"{name} {got[-1]['ms']:.0f} ms" for name, got in seen.items()))
    return figures_of(seen)


def figures_of(seen):
    """From {side: [what ttft_bench printed, by round]}."""
    rows = {got["rows_computed"] for runs in seen.values() for got in runs}
    if len(rows) != 1:
        raise SystemExit(f"the sides computed different numbers of rows: {sorted(rows)}")
    ms = {name: statistics.median(got["ms"] for got in runs) for name, runs in seen.items()}
    figures = {"ttft.link_vs_raw": ms["raw"] / ms[DEFAULT],
               "codec.first_level_ttft_share": ms["first_level"] / ms["balanced"]}
    for name, runs in seen.items():
        figures[f"ttft.link_{name}_ms"] = ms[name]
        figures[f"ttft.link_{name}_cpu_ms"] = statistics.median(got["cpu_ms"] for got in runs)
        figures[f"ttft.link_{name}_bytes"] = statistics.median(got["link_bytes"] for got in runs)
    for name in PROFILED:
        figures[f"ttft.link_vs_raw_{name}"] = ms["raw"] / ms[name]
    return figures
