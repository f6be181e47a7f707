"""llama.cpp through node-llama-cpp: installing it and giving it our models."""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMACPP = os.path.join(HERE, "llamacpp")


class LlamaCppMissing(Exception):
    """Says what is missing."""


def python_with_numpy():
    for candidate in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([candidate, "-c", "import numpy"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0:
            return candidate
    sys.exit("bench/run: needs numpy (apt package python3-numpy)")


def install(bench):
    """Into llamacpp/node_modules, unless it is there."""
    if os.path.isdir(os.path.join(LLAMACPP, "node_modules")):
        return
    if not shutil.which("npm"):
        raise LlamaCppMissing("no npm")
    bench.say("installing node-llama-cpp")
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--omit=optional", "--no-audit",
                           "--no-fund"], cwd=LLAMACPP, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise LlamaCppMissing("node-llama-cpp cannot be installed")


def converted(bench, model, kind):
    """Path of the model's weights as GGUF in `kind`, converted where that is older than they are."""
    name = f"{os.path.basename(model)}.{kind}.gguf"
    gguf = os.path.join(bench.work_folder("data"), name)
    subprocess.run([python_with_numpy(), os.path.join(HERE, "to_gguf.py"), model, gguf, "--type",
                    kind], check=True, stdout=sys.stderr)
    return gguf
