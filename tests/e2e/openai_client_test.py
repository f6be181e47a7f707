#!/usr/bin/env python3
"""The unchanged npm client of OpenAI against spolia-engine serve: openai_client_test.py ENGINE FOLDER

ENGINE is the program; FOLDER, in the build directory, keeps the installed client. Installs it from
openai_client/package-lock.json where that changed, stores the documents of conf/demo, starts the
server and runs openai_client/api_calls.mjs. Fails where npm or the network is missing: a test that is
skipped there would say nothing.
"""

import filecmp
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIENT = os.path.join(HERE, "openai_client")
MODEL = os.path.join(ROOT, "engine", "models", "micro")
DOCUMENT = os.path.join(ROOT, "conf", "demo", "helen-goes-sailing.txt")


def install(folder):
    os.makedirs(folder, exist_ok=True)
    installed = os.path.join(folder, "node_modules", ".package-lock.json")
    lock = os.path.join(folder, "package-lock.json")
    wanted = os.path.join(CLIENT, "package-lock.json")
    if not (os.path.exists(installed) and os.path.exists(lock)
            and filecmp.cmp(lock, wanted, shallow=False)):
        for program in ("node", "npm"):
            if not shutil.which(program):
                sys.exit(f"{program} is missing: install the packages of conf/packages.txt")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(CLIENT, name), folder)
        # npm ci checks every file against the digests of the lock file.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                        "--omit=optional", "--omit=peer"], cwd=folder, check=True, timeout=300)
    shutil.copy(os.path.join(CLIENT, "api_calls.mjs"), folder)


def start(engine, store):
    """The server, and the address it says."""
    server = subprocess.Popen([engine, "serve", "--listen", "127.0.0.1:0", "--model", MODEL,
                               "--store", store, "--capacity", "1 GiB"],
                              stdout=subprocess.PIPE, text=True)
    url = None
    for line in server.stdout:
        if line.startswith("listening on "):
            url = line.split()[-1]
        if line == "ready\n":
            return server, url
    sys.exit(f"the server ended with {server.wait()}")


def main():
    engine, folder = sys.argv[1:]
    install(folder)
    with tempfile.TemporaryDirectory() as work:
        store = os.path.join(work, "store")
        subprocess.run([engine, "ingest", DOCUMENT, "--model", MODEL, "--store", store,
                        "--capacity", "1 GiB"], check=True)
        server, url = start(engine, store)
        try:
            subprocess.run(["node", "api_calls.mjs", url, DOCUMENT], cwd=folder, check=True,
                           timeout=120)
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=30)
        finally:
            server.kill()
            server.wait()
        if code != 0:
            sys.exit(f"the server ended with {code} on SIGTERM")


if __name__ == "__main__":
    main()
