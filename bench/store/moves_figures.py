"""bench/run moves: bytes that a store at its cap writes again to empty its segments, a byte put.

Two segments open, one of them for what is moved, and the cheapest emptied first; against one open
segment and the oldest emptied first (the same store, which is not told that its values are alike).
61 segments; every second request goes to a hot set that takes 30 or 60 % of the capacity, the others are
for chunks that are never asked for again. --trace: that trace in a store of about a quarter of its
footprint, with every block of the same size. Policies value and LRU.

moves.<workload>_<policy> and ..._one_open; moves.worst_ratio: the highest ratio of the two.
The workload is the same each time, but not where requests meet the store's own work: figures vary by
some hundredths.
"""

import json
import os
import shutil
import subprocess
import sys

PROGRAMS = ["moves_bench"]
TRACE_SHARE = 4


def moved(bench, *options):
    folder = os.path.join(bench.work_folder("data"), "moves")
    command = [bench.program("moves_bench"), folder, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit("bench/run: failed: " + " ".join(command))
    return json.loads(done.stdout)


def blocks_of(trace):
    with open(trace, encoding="utf-8") as file:
        return len({block for line in file for block in json.loads(line)["hash_ids"]})


def workloads(bench):
    small = ["--requests", "500", "--capacity", str(24 << 20), "--segment", str(1 << 20)]
    for hot in ("30", "60"):
        yield f"hot_{hot}", ["--hot", str(int(hot) / 100), *(small if bench.smoke else [])]
    if bench.trace:
        record = 12 << 10
        capacity = blocks_of(bench.trace) * (record + 4096) // TRACE_SHARE
        yield "trace", ["--trace", bench.trace, "--record", str(record), "--capacity",
                        str(capacity), "--segment", str(capacity // 64 // 4096 * 4096)]


def run(bench):
    figures, ratios = {}, []
    for name, options in workloads(bench):
        for policy in ("value", "lru"):
            two = moved(bench, "--eviction", policy, *options)
            one = moved(bench, "--eviction", policy, "--one-open", *options)
            key = f"moves.{name}_{policy}"
            figures[key] = two["moved_per_put"]
            figures[f"{key}_one_open"] = one["moved_per_put"]
            figures[f"{key}_hit_share"] = two["hit_share"]
            figures[f"{key}_one_open_hit_share"] = one["hit_share"]
            ratios.append(two["moved_per_put"] / max(one["moved_per_put"], 1e-9))
            bench.say(f"{name}, {policy}: {two['moved_per_put']:.3f} a byte put, one open segment "
                      f"{one['moved_per_put']:.3f}")
    figures["moves.worst_ratio"] = max(ratios)
    return figures
