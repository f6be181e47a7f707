"""bench/run index: the index with 1 and 10 million chunks, filled in random order.

index.lookup_1024_ms: 1,024 random keys, half of them there, all asked at once (Index::findMany); page
cache warm, other keys in each repetition. .lookup_1024_one_by_one_ms: the same by Index::find.
index.cold_vs_fio: the first 1,024 lookups of a process, all hits, nothing cached but what opening
loads, by the time fio takes for as many random reads of 4 KiB at depth 32 in the same files (8,192
reads, of which an eighth counts); rounds alternate. What the host caches is unknown.
index.bytes_per_chunk: resident memory of index and eviction state (policy "value", with what it
remembers of evicted chunks) after reading all entries and some lookups. index.disk_bytes_per_chunk:
of all files. With _1m for one million chunks.
"""

import glob
import json
import os
import shutil
import statistics
import subprocess
import sys

import fio

PROGRAMS = ["index_bench"]
LOOKUPS = 1024


def step(bench, name, folder, entries, *more):
    command = [bench.program("index_bench"), name, folder, "--entries", str(entries), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit("bench/run: failed: " + " ".join(command))
    return json.loads(done.stdout)


def fio_ms(folder, seed):
    """Milliseconds of LOOKUPS random 4 KiB reads in the tables."""
    reads = 8 * LOOKUPS
    files = sorted(glob.glob(os.path.join(folder, "*.sst")))
    report = fio.run(filename=":".join(files), readonly=True, rw="randread", bs="4k", direct=1,
                     ioengine="io_uring", iodepth=32, number_ios=reads, randseed=seed,
                     norandommap=1, file_service_type="random")
    return report["read"]["runtime"] / report["read"]["total_ios"] * LOOKUPS


def cold(bench, folder, entries, rounds):
    times = {"many": [], "one": [], "fio": [], "open": []}
    for seed in range(1, rounds + 1):
        many = step(bench, "cold", folder, entries, "--many", "--seed", str(seed))
        times["many"].append(many["lookup_ms"])
        times["open"].append(many["open_ms"])
        times["fio"].append(fio_ms(folder, seed))
        one = step(bench, "cold", folder, entries, "--seed", str(seed + 1000))
        times["one"].append(one["lookup_ms"])
    return {name: statistics.median(values) for name, values in times.items()}


def measure(bench, folder, entries):
    rounds, repeats = (2, "4") if bench.smoke else (7, "40")
    filled = step(bench, "fill", folder, entries)
    bench.say(f"filled in {filled['seconds']:.0f} s")
    warm = step(bench, "warm", folder, entries, "--repeats", repeats)
    ms = cold(bench, folder, entries, rounds)
    bench.say(f"cold: {ms['many']:.1f} ms at once, {ms['one']:.1f} one by one, fio "
              f"{ms['fio']:.1f} (host cache unknown)")
    memory = step(bench, "memory", folder, entries)
    return {
        "lookup_1024_ms": statistics.median(warm["find_many_ms"]),
        "lookup_1024_one_by_one_ms": statistics.median(warm["find_ms"]),
        "cold_vs_fio": ms["many"] / ms["fio"],
        "cold_one_by_one_vs_fio": ms["one"] / ms["fio"],
        "cold_1024_ms": ms["many"],
        "cold_open_ms": ms["open"],
        "bytes_per_chunk": memory["bytes_per_chunk"],
        "bytes_per_chunk_without_ghosts": memory["bytes_per_chunk_without_ghosts"],
        "disk_bytes_per_chunk": filled["disk_bytes_per_chunk"],
        "fill_s": filled["seconds"],
    }


def run(bench):
    fio.need()
    sizes = {"_1m": 1_000_000, "": 10_000_000}
    if bench.smoke:
        sizes = {name: entries // 100 for name, entries in sizes.items()}
    figures = {}
    for suffix, entries in sizes.items():
        folder = os.path.join(bench.work_folder("data"), "index" + suffix)
        shutil.rmtree(folder, ignore_errors=True)
        bench.say(f"{entries} chunks")
        try:
            for name, value in measure(bench, folder, entries).items():
                figures[f"index.{name}{suffix}"] = value
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return figures
