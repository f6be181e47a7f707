"""bench/run codec: rates of the codec on one core, on made-up KV; sizes against damage
(quality_figures.py); sizes against answers (micro_figures.py); and what decoding takes of the time that
recomputing would (decode_figures.py).

codec.decode_vs_memcpy, .encode_vs_memcpy: fp16 bytes that the preset `high` gives or takes a second,
by those of a memcpy of 256 MiB touched before. codec.decode_gb_s, .encode_gb_s, .memcpy_gb_s: the same
alone.
codec.rans_decode_vs_scalar, .rans_encode_vs_scalar: the entropy coder on the best target of this
machine by the scalar reference, blocks of 2^18 symbols, tables built anew for each. With a target's
name at the end: on that target. codec.rans_decode_vs_memcpy, .rans_encode_vs_memcpy: the best target,
two bytes a symbol, as of fp16. codec.rans_decode_msym_s, .rans_encode_msym_s: million symbols a second.
codec.balanced_decode_vs_memcpy, .balanced_encode_vs_memcpy: of `balanced`, a profile of 32,000 tokens.
codec.two_threads: its decode on two threads by that on one.
Rounds alternate; every ratio is one of medians. Which figures have a bar, and whether it is held, goes to
stderr (bars.py).
"""

import json
import statistics
import subprocess

import bars
import decode_figures
import micro_figures
import quality_figures

PARTS = (quality_figures, micro_figures, decode_figures)
PROGRAMS = sorted({"codec_bench", *(program for part in PARTS for program in part.PROGRAMS)})
FP16 = 2


def measure(bench):
    size = ["--rounds", "2", "--copy-mib", "16", "--tokens", "64"] if bench.smoke else []
    done = subprocess.run([bench.program("codec_bench"), *size], stdout=subprocess.PIPE, text=True,
                          check=True)
    return json.loads(done.stdout)


def run(bench):
    got = measure(bench)
    rate = {name: statistics.median(values) for name, values in got.items()
            if isinstance(values, list) and name != "targets"}
    best = got["targets"][0]
    figures = {"codec.memcpy_gb_s": rate["memcpy"] / 1e9}
    for way in ("decode", "encode"):
        figures[f"codec.{way}_vs_memcpy"] = FP16 * rate[f"high_{way}"] / rate["memcpy"]
        figures[f"codec.{way}_gb_s"] = FP16 * rate[f"high_{way}"] / 1e9
        scalar = rate[f"rans_{way}_scalar"]
        figures[f"codec.rans_{way}_vs_scalar"] = rate[f"rans_{way}_{best}"] / scalar
        figures[f"codec.rans_{way}_vs_memcpy"] = FP16 * rate[f"rans_{way}_{best}"] / rate["memcpy"]
        figures[f"codec.rans_{way}_msym_s"] = rate[f"rans_{way}_{best}"] / 1e6
        for target in got["targets"]:
            figures[f"codec.rans_{way}_vs_scalar_{target.lower()}"] = (
                rate[f"rans_{way}_{target}"] / scalar)
        figures[f"codec.balanced_{way}_vs_memcpy"] = (
            FP16 * rate[f"balanced_{way}"] / rate["memcpy"])
    figures["codec.two_threads"] = rate["balanced_decode_two_threads"] / rate["balanced_decode"]
    for part in PARTS:
        figures.update(part.run(bench))
    bench.say(bars.table(figures))
    return figures
