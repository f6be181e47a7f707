"""bench/run api: requests a second and time to the first event of 1 and 8 concurrent chat requests over
a cached document, and what HTTP and scheduling add to the answer time of `ask`.

Server and `ask` use one spoliad. A round asks over HTTP, then by `ask`, so that both see the same
machine; of an `ask`, which answers several times in its process, the last answer counts, as the server
is warm too.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROGRAMS = ["spolia-engine", "spoliad"]
QUESTION = "What does Helen enjoy?"
METHODS = "first-k,reuse,first-k"


def start(command, wanted):
    """The process, and the word of its output that begins with `wanted`."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = None
    for line in process.stdout:
        found = next((word for word in line.split() if word.startswith(wanted)), found)
        if line == "ready\n":
            return process, found
    raise RuntimeError(f"{command[0]} ended with {process.wait()}")


def chat(connection, body):
    """Milliseconds to the first event and to the end of one streamed answer."""
    begin = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body)
    reply = connection.getresponse()
    if reply.status != 200:
        raise RuntimeError(f"{reply.status}: {reply.read()}")
    reply.readline()
    first = time.perf_counter()
    reply.read()
    return (first - begin) * 1000, (time.perf_counter() - begin) * 1000


def load(host, body, clients, requests):
    """Requests a second, and sorted times to the first event."""
    times, failures = [], []

    def work():
        try:
            connection = http.client.HTTPConnection(host)
            for _ in range(requests // clients):
                times.append(chat(connection, body)[0])
        except (OSError, RuntimeError, http.client.HTTPException) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(times) / (time.perf_counter() - begin), sorted(times)


def ask_ms(ask):
    done = subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["results"][-1]["total_ms"]


def measure(bench, host, document, ask):
    body = json.dumps({"model": "micro", "documents": [document], "stream": True,
                       "messages": [{"role": "user", "content": QUESTION}]})
    requests = 16 if bench.smoke else 800
    load(host, body, 1, 8)
    figures = {}
    for clients in (1, 8):
        rate, times = load(host, body, clients, requests)
        figures[f"api.requests_per_s_{clients}"] = rate
        figures[f"api.ttft_p50_ms_{clients}"] = statistics.median(times)
        figures[f"api.ttft_p99_ms_{clients}"] = times[min(len(times) - 1, len(times) * 99 // 100)]
    over_http, in_process = [], []
    connection = http.client.HTTPConnection(host)
    for _ in range(2 if bench.smoke else 30):
        over_http.append(chat(connection, body)[1])
        in_process.append(ask_ms(ask))
    figures["api.answer_ms"] = statistics.median(over_http)
    figures["api.ask_ms"] = statistics.median(in_process)
    figures["api.added_ms"] = figures["api.answer_ms"] - figures["api.ask_ms"]
    return figures


def run(bench):
    engine = os.path.join(bench.build, "engine", "spolia-engine")
    document = os.path.join(bench.root, "conf", "demo", "helen-goes-sailing.txt")
    started = []
    with tempfile.TemporaryDirectory(dir=bench.work_folder("data")) as work:
        try:
            spoliad, cache = start([os.path.join(bench.build, "server", "spoliad"), "--store",
                                    os.path.join(work, "store"), "--listen", "127.0.0.1:0"],
                                   "spolia://")
            started.append(spoliad)
            place = ["--model", os.path.join(bench.root, "engine", "models", "micro"), "--cache",
                     cache]
            subprocess.run([engine, "ingest", document, *place], check=True, stdout=sys.stderr)
            server, url = start([engine, "serve", "--listen", "127.0.0.1:0", *place], "http://")
            started.append(server)
            ask = [engine, "ask", QUESTION, "--docs", document, "--method", METHODS, "--json",
                   *place]
            return measure(bench, url.removeprefix("http://"), document, ask)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()
