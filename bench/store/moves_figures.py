"""bench/run moves: bytes that a store at its cap writes again to empty its segments, a byte put.

Two segments open, one of them for what is moved, and the cheapest emptied first; against one open
segment and the oldest emptied first (the same store, which is not told that its values are alike).
61 segments; every second request goes to a hot set that takes 30 or 60 % of the capacity, the others are
for chunks that are never asked for again. --trace: that trace in a store of about a quarter of its
footprint, with every block of the same size. Policies value and LRU.

moves.<workload>_<policy> and ..._one_open; moves.worst_ratio: the highest ratio of the two. Three
alternating rounds, medians; one of a trace. The requests are the same each time, but not where they meet
the store's own work, and the policy value learns from the time that passes.
"""

import json
import os
import shutil
import statistics
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
        rounds = 1 if bench.smoke or name == "trace" else 3
        for policy in ("value", "lru"):
            two, one = [], []
            for _ in range(rounds):
                two.append(moved(bench, "--eviction", policy, *options))
                one.append(moved(bench, "--eviction", policy, "--one-open", *options))
            for suffix, results in (("", two), ("_one_open", one)):
                key = f"moves.{name}_{policy}{suffix}"
                for figure, end in (("moved_per_put", ""), ("hit_share", "_hit_share")):
                    figures[key + end] = statistics.median(result[figure] for result in results)
            key = f"moves.{name}_{policy}"
            ratios.append(figures[key] / max(figures[key + "_one_open"], 1e-9))
            bench.say(f"{name}, {policy}: {figures[key]:.3f} a byte put, one open segment "
                      f"{figures[key + '_one_open']:.3f}")
    figures["moves.worst_ratio"] = max(ratios)
    return figures
