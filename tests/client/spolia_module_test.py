"""The Python module against a real spoliad (the first argument), and the example node. The second
argument is the spolia command, which puts chunks there that the module cannot make."""

import os
import runpy
import select
import signal
import subprocess
import sys
import threading

import numpy as np

import spoliad_process

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
GOLDEN = os.path.join(ROOT, "tests", "golden", "codec")
sys.path.insert(0, os.path.join(ROOT, "client", "python"))
import spolia  # noqa: E402  (found through the line above)

MODEL = spolia.Model("python/test", weights=spolia.sha256(b"w"), numerics="f32")


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def sample(seed, tokens=30):
    random = np.random.default_rng(seed)
    return (spolia.Chunk(random.integers(0, 1000, tokens).tolist()),
            random.standard_normal((3, 2, 2, tokens, 8), np.float32))


def test_arrays(client):
    chunk, kv = sample(1)
    out = np.zeros_like(kv)
    assert raises(spolia.NotFound, lambda: client.fetch(chunk, out)).code == spolia.Code.NOT_FOUND
    assert client.store(chunk, kv, preset="lossless").outcome == "stored"
    assert client.store(chunk, kv, preset="lossless").outcome == "exists"
    # A part of a wider array in another order: only that part is written.
    wide = np.full((30, 5, 2, 2, 10), 9.0, np.float32)
    view = wide.transpose(1, 2, 3, 0, 4)[1:4, :, :, :, 1:9]
    client.fetch(chunk, view)
    assert np.array_equal(view, kv)
    view[...] = 9.0
    assert (wide == 9.0).all()
    part = np.zeros((1, 2, 2, 7, 8), np.float32)
    client.fetch(client.chunk_id(chunk), part, layer_begin=2, token_begin=11)
    assert np.array_equal(part, kv[2:3, :, :, 11:18])
    out.flags.writeable = False
    for bad in (out, kv[:, :, :, ::-1], kv[..., ::2], kv.astype(np.float64), kv[0],
                kv.astype(np.int32)):
        raises(ValueError, lambda array=bad: client.fetch(chunk, array))
    raises(ValueError, lambda: client.store(chunk, kv[:, :, :, :5]))
    raises(ValueError, lambda: client.store(chunk, kv, preset="best"))
    raises(ValueError, lambda: client.fetch(b"short", np.zeros_like(kv)))
    error = raises(spolia.SpoliaError, lambda: client.fetch(chunk, np.zeros_like(kv),
                                                            token_begin=5))
    assert error.code == spolia.Code.INVALID_ARGUMENT and "30 tokens" in str(error)
    info = client.stat(chunk)
    assert info.tokens == list(chunk.tokens) and info.layers == [(2, 8)] * 3
    assert info.fingerprint == MODEL.fingerprint and info.element == "f32"


def test_listing(client):
    there = {e.id for e in client.list()}
    chunk, kv = sample(2)
    client.store(chunk, kv)
    assert {e.id for e in client.list()} - there == {client.chunk_id(chunk)}
    found = client.lookup([chunk, bytes(32), chunk], will_fetch=True)
    assert found.prefix == 1 and found.entries[1].code == spolia.Code.NOT_FOUND
    assert found.entries[2].preset == "high"
    client.remove(chunk)
    raises(spolia.NotFound, lambda: client.remove(chunk))
    figures = client.store_stats()
    assert figures["entries"] >= 1 and figures["expired"] == figures["evicted"] == 0
    assert figures["index_bytes"] > 0 and figures["memory_capacity_bytes"] > 0
    assert figures["io_backend"] in ("io_uring", "pread") and figures["read_only"] == ""
    sizes = [size for size, _, _ in figures["capacity"]]
    assert sizes == sorted(set(sizes)) and sizes
    assert all(0 <= share <= 1 for _, share, _ in figures["capacity"])
    other = spolia.Model("python/test", weights=spolia.sha256(b"x"), numerics="f32")
    error = raises(spolia.SpoliaError, lambda: client.register_model(other))
    assert error.code == spolia.Code.INVALID_ARGUMENT and "weights" in str(error)


def test_queue(client, server):
    samples = [sample(10 + i) for i in range(12)]
    outs = [np.zeros_like(kv) for _, kv in samples]
    with spolia.Queue() as queue:
        for i, (chunk, kv) in enumerate(samples):
            client.submit_store(chunk, kv, queue, ("store", i), preset="lossless")
        for i, (chunk, _) in enumerate(samples):
            while select.select([queue], [], [], 20)[0] == []:
                raise AssertionError("no completion")
            for result in queue.take(0, room=1):
                assert result.code == spolia.Code.OK, result.message
        for i, (chunk, _) in enumerate(samples):
            client.submit_fetch(chunk, outs[i], queue, i)
        left = set(range(12))
        while left:
            for result in queue.take(20):
                left.remove(result.cookie)
                assert np.array_equal(outs[result.cookie], samples[result.cookie][1])
        server.process.send_signal(signal.SIGSTOP)
        ticket = client.submit_fetch(samples[0][0], outs[0], queue, "late")
        assert client.cancel(ticket) and not client.cancel(ticket)
        (result,) = queue.take(20)
        assert result.code == spolia.Code.CANCELLED and result.cookie == "late"
        client.submit_fetch(samples[0][0], outs[0], queue)
    server.process.send_signal(signal.SIGCONT)


def test_threads(client):
    failed = []

    def work(number):
        for round_ in range(5):
            chunk, kv = sample(100 + number * 10 + round_)
            client.store(chunk, kv, preset="lossless")
            out = np.zeros_like(kv)
            client.fetch(chunk, out)
            if not np.array_equal(out, kv):
                failed.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_failures():
    raises(spolia.SpoliaError, lambda: spolia.Client("http://nowhere"))
    with spolia.Client("spolia://127.0.0.1:1", connect_timeout=1, call_timeout=2) as nobody:
        error = raises(spolia.SpoliaError, nobody.ping)
        assert error.code == spolia.Code.UNAVAILABLE
    error = raises(spolia.SpoliaError, nobody.ping)
    assert error.code == spolia.Code.INVALID_ARGUMENT


def put_golden(server, name, *arguments):
    """Stores a file of the golden ones; its id."""
    done = subprocess.run([sys.argv[2], "put", "--server", server.address, *arguments,
                           os.path.join(GOLDEN, name)], check=True, capture_output=True, text=True)
    return bytes.fromhex(done.stdout.strip())


def put_golden_profile(server, name):
    with open(os.path.join(GOLDEN, name), "rb") as file:
        return put_golden(server, name, "--kind", "profile", "--id",
                          spolia.sha256(file.read()).hex())


def golden_values(name, shapes, tokens, dtype):
    """Arrays, one for each layer: (k or v, head, token, channel)."""
    values = np.fromfile(os.path.join(GOLDEN, name), dtype)
    for heads, dim in shapes:
        layer, values = np.split(values, [2 * tokens * heads * dim])
        yield layer.reshape(2, tokens, heads, dim).transpose(0, 2, 1, 3)


def test_profiles(server):
    shapes, tokens = [(2, 8), (1, 8)], 75
    chunk = put_golden(server, "balanced_token_groups.stream")
    with spolia.Client(server.address, layers=shapes) as client, spolia.Queue() as queue:
        out = np.zeros((1, 2, 2, tokens, 8), np.float32)
        error = raises(spolia.NotFound, lambda: client.fetch(chunk, out))
        profile = put_golden_profile(server, "profile_planes.profile")
        assert f"profile {profile.hex()}" in str(error), error
        for layer, values in enumerate(golden_values("balanced_token_groups.values", shapes, tokens,
                                                     np.float32)):
            out = np.zeros((1, *values.shape), np.float32)
            client.fetch(chunk, out, layer_begin=layer)
            assert np.allclose(out[0], values, rtol=1e-5, atol=1e-5)
            again = np.zeros_like(out)
            client.submit_fetch(chunk, again, queue, layer_begin=layer)
            (result,) = queue.take(20)
            assert result.code == spolia.Code.OK and np.array_equal(again, out)


def test_derived_layer(server):
    shapes, tokens = [(2, 8), (1, 8), (2, 4)], 40
    put_golden_profile(server, "profile_derived.profile")
    chunk = put_golden(server, "small_derived_layer.stream")
    with spolia.Client(server.address, layers=shapes) as client, spolia.Queue() as queue:
        assert client.stat(chunk).derived_layers == 1
        outs = [np.full((1, 2, heads, tokens, dim), 9.0, np.float32) for heads, dim in shapes]
        error = raises(spolia.NotFound, lambda: client.fetch(chunk, outs[0]))
        assert "computes_derived" in str(error)
        for layer, out in enumerate(outs):
            result = client.fetch(chunk, out, layer_begin=layer, computes_derived=True)
            assert (result.layers, result.derived_layers) == ((0, 1) if layer == 0 else (1, 0))
        assert (outs[0] == 9.0).all()
        stored = list(golden_values("small_derived_layer.values", shapes, tokens, np.float16))
        for out, values in zip(outs[1:], stored[1:]):
            assert np.allclose(out[0], values, rtol=2e-3, atol=1e-3)
        client.submit_fetch(chunk, outs[0], queue, computes_derived=True)
        assert queue.take(20)[0].derived_layers == 1
        client.submit_fetch(chunk, outs[0], queue)
        assert queue.take(20)[0].code == spolia.Code.NOT_FOUND
        client.fetch(chunk, outs[1], layer_begin=1)


def main():
    with spoliad_process.Spoliad(sys.argv[1]) as server:
        with spolia.Client(server.address, model=MODEL, layers=[(2, 8)] * 3) as client:
            assert client.ping()[0] != 0
            test_arrays(client)
            test_listing(client)
            test_queue(client, server)
            test_threads(client)
        test_profiles(server)
        test_derived_layer(server)
        test_failures()
        sys.argv = ["node.py", server.address]
        runpy.run_path(os.path.join(ROOT, "conf", "examples", "node.py"), run_name="__main__")
    print("ok")


if __name__ == "__main__":
    main()
