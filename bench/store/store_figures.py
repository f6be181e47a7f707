"""bench/run store: the store against what fio gets out of the same disk, and against RocksDB's blob files.

store.cold_read_vs_fio: records of 256 KiB, 1 MiB and 8 MiB read at random by a new process, 8 in
flight, O_DIRECT, every block's checksum verified, the opening not counted; fio reads the same places
of the same segment files with io_uring at the same depth. store.durable_write_vs_fio: records put, 8
in flight, acknowledged when durable, into a store that has been written round; fio writes with 8
jobs, each syncing after every write, into a file that has been written before. Each by size too
(_256k, _1m, _8m), with MB/s; the smallest ratio counts.

Against BlobDB: both keep the same bytes live of the same records (half 256 KiB, four tenths 1 MiB, one
tenth 8 MiB), three times the cap is written, synced, 8 in flight; then records that both have are read
at random. BlobDB has direct reads, flushes and compactions, collects garbage, has one background job
and 8 threads, against our one I/O thread; it has no cap, so its driver deletes the oldest.
store.read_vs_blobdb: MB/s; store.write_amp_vs_blobdb: bytes written by the process a byte put;
store.cpu_per_gb_vs_blobdb: processor time a GB put and read.

store.pread_vs_uring: records of 1 MiB read with threads against io_uring, 32 in flight.

store.scrub_found: of 1,000 records in which a bit was flipped on the disk, those that one pass of the
scrub finds. store.rebuild_s_per_100k: seconds to open a store of 100,000 records of 8 KiB whose index
is gone (host cache unknown; page cache not used).

All rounds alternate and change who begins; figures are medians. What the host caches is unknown.
"""

import glob
import json
import os
import random
import shutil
import statistics
import subprocess
import sys

import fio

PROGRAMS = ["store_bench"]
SIZES = {"256k": 256 << 10, "1m": 1 << 20, "8m": 8 << 20}
DEPTH = 8
GIB = 1 << 30


class Stores:
    """Runs store_bench in one folder."""

    def __init__(self, bench):
        self.bench = bench
        self.rounds = 2 if bench.smoke else 7
        self.segment = (16 if bench.smoke else 256) << 20
        self.folder = os.path.join(bench.work_folder("data"), "store")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def step(self, name, **options):
        command = [self.bench.program("store_bench"), name]
        for option, value in options.items():
            if option == "directory":
                command.append(self.path(value))
            elif value is True:
                command.append("--" + option.replace("_", "-"))
            else:
                command += ["--" + option, str(value)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit("bench/run: failed: " + " ".join(command))
        return json.loads(done.stdout)

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.path(name), ignore_errors=True)


def alternate(rounds, runs):
    """{name: [result]}: each of `runs`, in turn; every other round from the last to the first."""
    results = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[::1 if number % 2 == 0 else -1]:
            results[name].append(runs[name](number))
    return results


def say(bench, title, results):
    for name, values in results.items():
        bench.say(f"  {title} {name}: " + " ".join(f"{value:.0f}" for value in values) +
                  f" MB/s, median {statistics.median(values):.0f}")


def ratio(results, ours, theirs):
    return statistics.median(results[ours]) / statistics.median(results[theirs])


def cold_reads(stores, name, size):
    total = 16 << 20 if stores.bench.smoke else 2 * GIB
    count, asked = total // size, max(4 * DEPTH, total * 3 // 4 // size)
    # Nine tenths of all segments but one may be live, and a 32nd of the cap is the index's.
    capacity = (total * 5 // 4 // stores.segment + 3) * stores.segment * 32 // 31 + (4 << 20)
    common = {"directory": "cold", "record": size, "capacity": capacity,
              "segment": stores.segment}
    stores.step("write", count=count, **common)

    def ours(number):
        return stores.step("read", end=count, count=asked, depth=DEPTH, seed=number,
                           **common)["mb_per_s"]

    def theirs(number):
        places = stores.path("places.log")
        with open(places, "w", encoding="utf-8") as file:
            file.write(stores.step("places", end=count, count=asked, seed=number, **common)["log"])
        return fio.mb_per_s(fio.run(read_iolog=places, ioengine="io_uring", iodepth=DEPTH, direct=1,
                                    readonly=True), "read")

    def most(_):
        files = sorted(glob.glob(stores.path("cold/segments/*.seg")))
        return fio.mb_per_s(fio.run(filename=":".join(files), readonly=True, rw="read", bs="8m",
                                    ioengine="io_uring", iodepth=32, direct=1), "read")

    sequential = most(0)
    results = alternate(stores.rounds, {"ours": ours, "fio": theirs})
    results["fio sequential, 8 MiB, depth 32"] = [sequential, most(0)]
    stores.remove("cold")
    say(stores.bench, f"cold reads of {name} (host cache unknown),", results)
    return {f"store.cold_read_vs_fio_{name}": ratio(results, "ours", "fio"),
            f"store.cold_read_mb_per_s_{name}": statistics.median(results["ours"])}


def pread_reads(stores):
    """The step down from io_uring, with much in flight."""
    size = SIZES["1m"] // (16 if stores.bench.smoke else 1)
    count = (64 << 20 if stores.bench.smoke else GIB) // size
    common = {"directory": "pread", "record": size, "count": count, "segment": stores.segment,
              "capacity": 4 * count * size, "depth": 32}
    stores.step("write", **common)

    def reads(**options):
        return lambda number: stores.step("read", end=count, seed=number, **common,
                                          **options)["mb_per_s"]

    results = alternate(stores.rounds, {"io_uring": reads(), "threads": reads(pread=True)})
    stores.remove("pread")
    say(stores.bench, "cold reads of 1 MiB, 32 in flight,", results)
    return {"store.pread_vs_uring": ratio(results, "threads", "io_uring")}


def durable_writes(stores, name, size):
    jobs = 8
    round_bytes = 16 << 20 if stores.bench.smoke else GIB
    # 24 segments of at least 32 records: where fewer are left beside what may be live, or their
    # ends are lost, records are moved all the time.
    segment = min(stores.segment, max(64 << 20, 32 * size))
    capacity = (4 if stores.bench.smoke else 24) * segment
    count = round_bytes // size
    common = {"directory": "writes", "record": size, "capacity": capacity,
              "segment": segment, "depth": jobs}
    file = stores.path("fio.data")
    plain = {"filename": file, "rw": "write", "direct": 1, "ioengine": "psync", "overwrite": 1}
    fio.run(bs="8m", size=round_bytes, zero_buffers=1, end_fsync=1, **plain)
    aged = -(-capacity // size)
    stores.step("write", count=aged, **common)

    def ours(number):
        return stores.step("write", first=aged + number * count, count=count, **common)["mb_per_s"]

    def theirs(**options):
        job = {"numjobs": jobs, "bs": size, "size": round_bytes // jobs,
               "offset_increment": round_bytes // jobs, **plain, **options}
        return lambda _: fio.mb_per_s(fio.run(**job), "write")

    results = alternate(stores.rounds, {"ours": ours, "fio": theirs(fdatasync=1),
                                        "fio without sync": theirs()})
    stores.remove("writes")
    os.remove(file)
    say(stores.bench, f"durable writes of {name},", results)
    return {f"store.durable_write_vs_fio_{name}": ratio(results, "ours", "fio"),
            f"store.durable_write_mb_per_s_{name}": statistics.median(results["ours"])}


def flip(path, at, bit):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def scrub(stores):
    """Bits flipped anywhere in what a record's header or payload says, each in another record."""
    flips = 50 if stores.bench.smoke else 1000
    size, count = 64 << 10, 2 * flips
    common = {"directory": "scrub", "record": size, "capacity": max(4 * count * size, 256 << 20),
              "segment": 64 << 20}
    stores.step("write", count=count, **common)
    log = stores.step("places", end=count, count=20 * count, **common)["log"]
    reads = {tuple(line.split()) for line in log.splitlines() if " read " in line}
    chosen = random.Random(1)
    for path, _, offset, _ in chosen.sample(sorted(reads), flips):
        # A header has at least 64 bytes that mean something and takes 4 KiB.
        inside = chosen.randrange(64 + size)
        flip(path, int(offset) + (inside if inside < 64 else inside - 64 + 4096),
             chosen.randrange(8))
    done = stores.step("scrub", **common)
    stores.remove("scrub")
    stores.bench.say(f"scrub: {done['damaged']} of {flips} found, {done['mb_per_s']:.0f} MB/s")
    return {"store.scrub_found": done["damaged"], "store.scrub_planted": flips,
            "store.scrub_mb_per_s": done["mb_per_s"]}


def rebuild(stores):
    count = 1000 if stores.bench.smoke else 100_000
    common = {"directory": "rebuild", "record": 8 << 10, "capacity": 4 * GIB, "segment": 256 << 20}
    stores.step("write", count=count, depth=64, **common)
    seconds = []
    for _ in range(min(3, stores.rounds)):
        done = stores.step("rebuild", **common)
        if done["entries"] != count:
            sys.exit(f"bench/run: {done['entries']} of {count} entries after a rebuild")
        seconds.append(done["seconds"])
    stores.remove("rebuild")
    stores.bench.say("rebuild: " + " ".join(f"{value:.1f}" for value in seconds) + " s")
    return {"store.rebuild_s_per_100k": statistics.median(seconds) * 100_000 / count}


def per_gb(seconds, size):
    return seconds / (size / 1e9)


def against_blob_db(stores):
    """Three caps written by each, the first of them not counted, then reads."""
    # As many segments as a store of default size has.
    smoke = stores.bench.smoke
    segment = (32 if smoke else 64) << 20
    capacity = (6 if smoke else 32) * segment
    live = (capacity // segment - 1) * segment * 9 // 10
    mean = 1363149  # bytes of a record
    fill, rounds = capacity // mean, 2 if smoke else 4
    part = 2 * fill // rounds
    engines = {"ours": {"directory": "steady", "capacity": capacity, "segment": segment},
               "BlobDB": {"directory": "blob", "blob_db": True, "keep": live}}

    def writes(first, count):
        return {name: lambda number, options=options: stores.step(
            "write", first=first + number * count, count=count, **options)
                for name, options in engines.items()}

    alternate(1, writes(0, fill))
    written = alternate(rounds, writes(fill, part))
    end = fill + rounds * part
    first = stores.step("window", end=end, keep=live // 2 if smoke else live * 9 // 10)["first"]
    asked = fill // 2
    read = alternate(stores.rounds, {
        name: lambda number, options=options: stores.step(
            "read", first=first, end=end, count=asked, seed=number, **options)
        for name, options in engines.items()})
    stores.remove("steady", "blob")
    return blob_db_figures(stores.bench, written, read)


def blob_db_figures(bench, written, read):
    for title, results in (("writes", written), ("reads", read)):
        say(bench, f"steady state, {title},",
            {name: [result["mb_per_s"] for result in each] for name, each in results.items()})
    figures, cpu, amplification, speed = {}, {}, {}, {}
    for name, key in (("ours", "store"), ("BlobDB", "blobdb")):
        amplification[name] = (sum(result["written_bytes"] for result in written[name]) /
                               sum(result["bytes"] for result in written[name]))
        both = written[name] + read[name]
        cpu[name] = per_gb(sum(result["cpu_seconds"] for result in both),
                           sum(result["bytes"] for result in both))
        speed[name] = statistics.median(result["mb_per_s"] for result in read[name])
        figures[f"store.{key}_write_amp"] = amplification[name]
        figures[f"store.{key}_cpu_s_per_gb"] = cpu[name]
        figures[f"store.{key}_read_mb_per_s"] = speed[name]
        figures[f"store.{key}_write_mb_per_s"] = statistics.median(
            result["mb_per_s"] for result in written[name])
        figures[f"store.{key}_disk_gib"] = written[name][-1]["disk_bytes"] / GIB
    figures["store.read_vs_blobdb"] = speed["ours"] / speed["BlobDB"]
    figures["store.write_amp_vs_blobdb"] = amplification["ours"] / amplification["BlobDB"]
    figures["store.cpu_per_gb_vs_blobdb"] = cpu["ours"] / cpu["BlobDB"]
    return figures


def run(bench):
    fio.need()
    stores = Stores(bench)
    figures = {}
    try:
        for kind, measure in (("store.cold_read_vs_fio", cold_reads),
                              ("store.durable_write_vs_fio", durable_writes)):
            for name, size in SIZES.items():
                figures.update(measure(stores, name, size // 16 if bench.smoke else size))
            figures[kind] = min(figures[f"{kind}_{name}"] for name in SIZES)
        figures.update(pread_reads(stores))
        figures.update(against_blob_db(stores))
        figures.update(scrub(stores))
        figures.update(rebuild(stores))
    finally:
        shutil.rmtree(stores.folder, ignore_errors=True)
    return figures
