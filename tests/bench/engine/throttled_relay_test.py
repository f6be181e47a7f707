"""The bucket's rate, by a clock of the test's own; and that the relay changes no byte."""

import os
import socket
import sys
import threading
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "bench", "engine"))

from throttled_relay import PIECE, ThrottledRelay, TokenBucket


class Clock:
    """Stands still but for sleepers."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Bucket(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.bucket = TokenBucket(1000, 500, self.clock, self.clock.sleep)

    def test_what_it_holds_passes_at_once(self):
        self.bucket.take(500)
        self.assertEqual(self.clock.now, 100)

    def test_never_more_than_the_rate_and_what_it_holds(self):
        passed = 0
        for count in (500, 1, 700, 200, 3000, 99, 500):
            self.bucket.take(count)
            passed += count
            self.assertLessEqual(passed, 500 + 1000 * (self.clock.now - 100) + 1e-6)
        self.assertAlmostEqual(self.clock.now, 100 + (passed - 500) / 1000)
        self.assertEqual(self.bucket.passed, passed)

    def test_idle_time_fills_it_once(self):
        self.clock.now += 60
        self.bucket.take(500)
        self.bucket.take(1000)
        self.assertAlmostEqual(self.clock.now, 161)


class Relay(unittest.TestCase):
    def test_bytes_pass_both_ways_until_the_end(self):
        sent = os.urandom(5 * PIECE + 17)
        with socket.create_server(("127.0.0.1", 0)) as server:
            def echo():
                end, _ = server.accept()
                with end:
                    while piece := end.recv(PIECE):
                        end.sendall(piece)

            thread = threading.Thread(target=echo)
            thread.start()
            with ThrottledRelay(server.getsockname()[1], 1e9) as relay:
                with socket.create_connection(("127.0.0.1", relay.port)) as client:
                    writer = threading.Thread(target=lambda: (client.sendall(sent),
                                                              client.shutdown(socket.SHUT_WR)))
                    writer.start()
                    got = b""
                    while piece := client.recv(PIECE):
                        got += piece
                    writer.join()
            thread.join()
        self.assertEqual(got, sent)

    def test_a_server_that_leaves_is_noticed(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with ThrottledRelay(server.getsockname()[1], 1e9) as relay:
                with socket.create_connection(("127.0.0.1", relay.port)) as client:
                    end, _ = server.accept()
                    end.close()
                    self.assertEqual(client.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
