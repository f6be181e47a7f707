"""What decoding costs where recomputing is the other choice: the bench model of `bench/run ttft` (of 512
tokens only, which changes nothing of a prefill: bench_model.py), a chunk of 256 tokens of text, profiles
learnt from the model's own KV; processor time of one thread, rounds alternate, ratios of medians.

codec.PRESET_decode_share: time to decode the chunk (checks included) by the time of a prefill of the
same tokens. codec.PRESET_decode_ms, codec.prefill_ms: the times. codec.bench_PRESET_ratio: fp16 bytes
by stored bytes there; random weights make KV that presses less than a trained model's.
"""

import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "engine"))
from bench_model import asked_text, json_of, profile_of, profiled_model  # noqa: E402

PROGRAMS = ["decode_share_bench", "spolia-engine"]
PRESETS = ("balanced", "small")


def run(bench):
    model = profiled_model(bench)
    profiles = [part for preset in PRESETS
                for part in ("--profile", profile_of(bench, model, preset))]
    size = ["--tokens", "64", "--rounds", "2"] if bench.smoke else []
    return figures_of(json_of([bench.program("decode_share_bench"), "--model", model, "--text",
                               asked_text(bench), *profiles, *size]))


def figures_of(got):
    """From what decode_share_bench printed."""
    prefill = statistics.median(got["prefill_ms"])
    figures = {"codec.prefill_ms": prefill}
    for preset, seen in got["presets"].items():
        decode = statistics.median(seen["decode_ms"])
        figures.update({f"codec.{preset}_decode_share": decode / prefill,
                        f"codec.{preset}_decode_ms": decode,
                        f"codec.bench_{preset}_ratio": got["fp16_bytes"] / seen["bytes"]})
    return figures
