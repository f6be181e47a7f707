"""A link of a given rate in front of a server: what the server sends passes through a token bucket;
what it is sent passes as it comes."""

import socket
import threading
import time

PIECE = 64 << 10  # bytes read at once, and what the bucket holds at most


class TokenBucket:
    """Lets `rate` bytes a second pass, and at most `depth` at once."""

    def __init__(self, rate, depth=PIECE, clock=time.monotonic, sleep=time.sleep):
        self.rate, self.depth = rate, depth
        self.clock, self.sleep = clock, sleep
        self.left, self.filled = depth, clock()
        self.passed = 0  # bytes in all
        self.lock = threading.Lock()

    def take(self, count):
        """Returns when `count` bytes may pass. They may be more than the bucket holds: what is owed
        is waited for."""
        with self.lock:
            now = self.clock()
            self.left = min(self.depth, self.left + (now - self.filled) * self.rate) - count
            self.filled = now
            self.passed += count
            owed = -self.left / self.rate
        if owed > 0:
            self.sleep(owed)


def _pass_on(source, target, bucket=None):
    """Until the source ends or either breaks; the target learns of the end."""
    try:
        while piece := source.recv(PIECE):
            if bucket:
                bucket.take(len(piece))
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class ThrottledRelay:
    """Listens on loopback and connects on to a port there; a context. All connections share the
    rate."""

    def __init__(self, port, rate):
        self.to_port = port
        self.bucket = TokenBucket(rate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ends = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.ends.append(end)
            for ends in ((near, far), (far, near, self.bucket)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self.listener, *self.ends):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
