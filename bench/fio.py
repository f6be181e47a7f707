"""fio, the measure of what the disk can do."""

import json
import shutil
import subprocess
import sys


def need():
    """Ends the program, saying where to get it, when fio is missing."""
    if shutil.which("fio") is None:
        sys.exit("bench/run: fio is missing: apt-get install fio (conf/packages.txt names it)")


def run(**options):
    """One job with these options, True standing for one that takes no value; its report."""
    command = ["fio", "--name=job", "--output-format=json", "--group_reporting=1"]
    command += [f"--{name}" if value is True else f"--{name}={value}"
                for name, value in options.items()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit("bench/run: failed: " + " ".join(command) + "\n" + done.stdout)
    return json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]


def mb_per_s(report, way):
    return report[way]["io_bytes"] / 1e6 / (report[way]["runtime"] / 1e3)
