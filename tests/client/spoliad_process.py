"""A spoliad for tests in Python: started on a free port with a store of its own, ended with it."""

import subprocess
import tempfile


class Spoliad:
    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory(prefix="spolia-test-")
        self.process = subprocess.Popen(
            [program, "--store", f"{self.directory.name}/store", "--capacity", "600MiB",
             "--listen", "127.0.0.1:0", "--log-level", "error"],
            stdout=subprocess.PIPE, text=True)
        self.address = None
        for line in self.process.stdout:
            if "spolia://" in line:
                self.address = line[line.index("spolia://"):].strip()
            if line == "ready\n":
                return
        raise RuntimeError(f"{program}: did not say that it is ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()
