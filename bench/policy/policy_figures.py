"""bench/run policy: recompute time saved by our eviction policy against LRU, ARC, S3-FIFO and GDSF.

Each trace is replayed at 10, 25 and 50 % of its footprint in bytes; README.md beside this file says
how. For each trace and size: policy.<trace>.<size>.saved_vs_best_other (with .low and .high, 95 %),
.gap_closed, .saved_share (of all recompute time asked for), .belady_share, .bound_share, and
<policy>_share; policy.<trace>.mean with its interval.

policy.saved_vs_best_other: the least of all sizes and traces; policy.saved_vs_best_other_mean: their
mean, with _low and _high: traces count alike. policy.gap_closed: the least at 10 and 25 % of the
recorded trace (--trace); of the generated ones where none is given.
"""

import json
import subprocess
import sys

PROGRAMS = ["policy_bench"]
GENERATED = ("zipf", "scans", "conversations")
GAP_SIZES = ("10", "25")


def replay(bench, arguments):
    command = [bench.program("policy_bench"), *arguments]
    if bench.smoke:
        command += ["--smoke", "--bootstrap", "100"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit("bench/run: failed: " + " ".join(command))
    return json.loads(done.stdout)


def add_trace(figures, result):
    trace, asked = f"policy.{result['trace']}", result["seconds_asked"]
    for size in result["sizes"]:
        key = f"{trace}.{round(100 * size['share'])}"
        for name in ("saved_vs_best_other", "gap_closed"):
            figures[f"{key}.{name}"] = size[name]
        figures[f"{key}.low"], figures[f"{key}.high"] = size["low"], size["high"]
        for name, outcome in size["policies"].items():
            figures[f"{key}.{name}_share"] = outcome["seconds"] / asked
        figures[f"{key}.belady_share"] = size["belady_seconds"] / asked
        figures[f"{key}.bound_share"] = size["bound_seconds"] / asked
    mean = result["mean"]
    figures[f"{trace}.mean"] = mean["saved_vs_best_other"]
    figures[f"{trace}.mean_low"], figures[f"{trace}.mean_high"] = mean["low"], mean["high"]


def overall(figures, results):
    """Traces are independent: the variance of their mean is the sum of theirs by n squared."""
    ratios = [size["saved_vs_best_other"] for result in results for size in result["sizes"]]
    figures["policy.saved_vs_best_other"] = min(ratios)
    mean = sum(ratios) / len(ratios)
    spread = sum(((result["mean"]["high"] - result["mean"]["low"]) / 2) ** 2
                 for result in results) ** 0.5 / len(results)
    figures["policy.saved_vs_best_other_mean"] = mean
    figures["policy.saved_vs_best_other_mean_low"] = mean - spread
    figures["policy.saved_vs_best_other_mean_high"] = mean + spread
    recorded = [result["trace"] for result in results if result["trace"] not in GENERATED]
    figures["policy.gap_closed"] = min(figures[f"policy.{trace}.{size}.gap_closed"]
                                       for trace in recorded or GENERATED for size in GAP_SIZES)


def run(bench):
    requests = "1500" if bench.smoke else "20000"
    runs = [["--generated", name, "--requests", requests] for name in GENERATED]
    if bench.trace:
        runs.append(["--trace", bench.trace])
    results, figures = [], {}
    for arguments in runs:
        bench.say("policy_bench " + " ".join(arguments))
        results.append(replay(bench, arguments))
        add_trace(figures, results[-1])
    overall(figures, results)
    return figures
