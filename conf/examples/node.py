"""A serving node in small, over the Python module of Spolia.

It names its model to a spoliad, stores the KV of a document (keys before RoPE, usable at any
position) and of a prompt's prefix (keys as rotated), finds out how much of the next prompt is there,
and fetches it into arrays of its own layout, all layers at once and layer by layer. The KV is
random: this shows how a node talks to the cache, not how a model computes.

    python3 conf/examples/node.py spolia://127.0.0.1:7433
"""

import argparse
import os
import sys
import time

import numpy as np

try:
    import spolia
except ImportError as missing:  # from a clone: the module is in client/python
    if missing.name != "spolia":
        raise
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "client", "python"))
    import spolia

LAYERS, HEADS, DIM = 12, 4, 64
CHUNK = 256  # tokens of a prefix chunk
VOCABULARY = 32000


class Node:
    """Holds what a node has: a model, a client, and KV memory in the engine's layout."""

    def __init__(self, address, token, seed):
        self.random = np.random.default_rng(seed)
        self.model = spolia.Model(
            name="example/node", numerics="f16",
            # A real node takes the digests of its files.
            weights=spolia.sha256(b"weights of the example"),
            config=spolia.sha256(f"{LAYERS} {HEADS} {DIM}".encode()),
            tokenizer=spolia.sha256(b"tokenizer of the example"))
        self.client = spolia.Client(address, token=token, model=self.model,
                                    layers=[(HEADS, DIM)] * LAYERS, call_timeout=20)

    def tokens(self, count):
        return self.random.integers(0, VOCABULARY, count).tolist()

    def compute(self, tokens, dtype=np.float16):
        """What prefill would give, in the layout of an engine: (k or v, layer, token, head,
        channel). Wide spread per channel, as keys have it."""
        scale = self.random.gamma(2.0, 1.0, (2, LAYERS, 1, HEADS, DIM))
        values = self.random.standard_normal((2, LAYERS, len(tokens), HEADS, DIM)) * scale
        return values.astype(dtype)


def as_kv(pages):
    """The engine's layout seen with the axes of Spolia; no copy."""
    return pages.transpose(1, 0, 3, 2, 4)


def timed(what, call):
    begin = time.perf_counter()
    result = call()
    print(f"{(time.perf_counter() - begin) * 1e3:8.2f} ms  {what(result)}")
    return result


def check(holds, what):
    if not holds:
        sys.exit(f"node.py: {what} does not hold")
    print(f"              {what}")


def store_and_fetch_document(node):
    """A document's chunk: keys before RoPE; every bit comes back."""
    chunk = spolia.Chunk(node.tokens(200))
    pages = node.compute(chunk.tokens)
    timed(lambda r: f"document of 200 tokens, lossless: {r.outcome}, {r.bytes:,} of "
          f"{pages.nbytes:,} bytes",
          lambda: node.client.store(chunk, as_kv(pages), preset="lossless"))
    back = np.zeros_like(pages)
    timed(lambda r: f"fetched into the engine's pages from {r.tier}",
          lambda: node.client.fetch(chunk, as_kv(back)))
    check(np.array_equal(pages.view(np.uint16), back.view(np.uint16)), "bit for bit the same")
    wide = np.zeros((LAYERS, 2, HEADS, 200, DIM), np.float32)
    node.client.fetch(chunk, wide)
    check(np.array_equal(wide, as_kv(pages).astype(np.float32)), "the same values as float32")


def store_and_fetch_high(node):
    """The same with the preset `high`: smaller, with an error that is bounded."""
    chunk = spolia.Chunk(node.tokens(200))
    pages = node.compute(chunk.tokens)
    timed(lambda r: f"document of 200 tokens, high: {r.bytes:,} of {pages.nbytes:,} bytes",
          lambda: node.client.store(chunk, as_kv(pages), preset="high"))
    back = np.zeros((LAYERS, 2, HEADS, 200, DIM), np.float32)
    timed(lambda r: f"fetched as float32 from {r.tier}", lambda: node.client.fetch(chunk, back))
    wanted = as_kv(pages).astype(np.float32)
    # All channels of a head have one step: against the head's range.
    error = np.abs(back - wanted).max(axis=(3, 4)) / np.abs(wanted).max(axis=(3, 4))
    check(error.max() < 0.09, f"largest error {100 * error.max():.2f} % of a head's range")


def prefix_chunks(tokens):
    """The whole chunks of a prompt, each the continuation of the one before."""
    return [tokens[i:i + CHUNK] for i in range(0, len(tokens) - CHUNK + 1, CHUNK)]


def chain(node, tokens):
    chunks, parent = [], None
    for part in prefix_chunks(tokens):
        chunks.append(spolia.Chunk(part, mode="prefix", parent=parent))
        parent = node.client.chunk_id(chunks[-1])
    return chunks


def reuse_a_prefix(node):
    """Two prompts that begin alike: the second one's KV is there as far as they do."""
    first = node.tokens(4 * CHUNK)
    second = first[:3 * CHUNK] + node.tokens(CHUNK + 40)
    pages = node.compute(first)
    # As bf16 is in NumPy: two bytes a value.
    pages = (pages.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    kv = as_kv(pages)
    with spolia.Queue() as queue:
        begin = time.perf_counter()
        for i, chunk in enumerate(chain(node, first)):
            node.client.submit_store(chunk, kv[:, :, :, i * CHUNK:(i + 1) * CHUNK], queue, i,
                                     preset="lossless", k_form="rotated",
                                     first_position=i * CHUNK, element="bf16")
        done = [result for _ in range(4) for result in queue.take(room=1)]
        check(all(r.code == spolia.Code.OK for r in done), "four prefix chunks stored as rotated")
        print(f"{(time.perf_counter() - begin) * 1e3:8.2f} ms  for all four")

        chunks = chain(node, second)
        found = timed(lambda l: f"lookup: {l.prefix} of {len(chunks)} chunks of the next prompt, "
                      f"so {l.prefix * CHUNK} of {len(second)} tokens need no prefill",
                      lambda: node.client.lookup(chunks))
        check(found.prefix == 3, "the longest prefix is three chunks")
        back = np.zeros((2, LAYERS, 3 * CHUNK, HEADS, DIM), np.uint16)
        begin = time.perf_counter()
        # Layer by layer, as an engine wants them; they travel together.
        for layer in range(LAYERS):
            for i in range(found.prefix):
                out = as_kv(back)[layer:layer + 1, :, :, i * CHUNK:(i + 1) * CHUNK]
                node.client.submit_fetch(chunks[i], out, queue, (layer, i), layer_begin=layer,
                                         k_form="rotated", first_position=i * CHUNK,
                                         element="bf16")
        left = {(layer, i) for layer in range(LAYERS) for i in range(found.prefix)}
        while left:
            for result in queue.take():
                check_quietly(result)
                left.remove(result.cookie)
        print(f"{(time.perf_counter() - begin) * 1e3:8.2f} ms  {LAYERS} layers x 3 chunks fetched")
    check(np.array_equal(back, pages[:, :, :3 * CHUNK]), "bit for bit the same")
    try:
        node.client.fetch(chunks[0], as_kv(back)[:, :, :, :CHUNK], element="bf16")
        sys.exit("node.py: rotated keys were given out as keys before RoPE")
    except spolia.NotFound as miss:
        print(f"              asked as keys before RoPE it is a miss: {miss}")


def check_quietly(result):
    if result.code != spolia.Code.OK:
        sys.exit(f"node.py: {result.cookie}: {result.message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("address", help="spolia://HOST:PORT or spolia+unix:///PATH")
    parser.add_argument("--token", help="of the tenant, when the server wants one")
    parser.add_argument("--seed", type=int, help="of the random KV (default: another each time)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "little")
    node = Node(options.address, options.token, seed)
    with node.client:
        epoch, version = timed(lambda r: f"connected to spoliad {r[1]}", node.client.ping)
        node.client.register_model(node.model)
        print(f"              model {node.model.name}, fingerprint "
              f"{node.model.fingerprint.hex()[:16]}, libspolia {spolia.version()}, server "
              f"{version} of epoch {epoch:x}, seed {seed}")
        store_and_fetch_document(node)
        store_and_fetch_high(node)
        reuse_a_prefix(node)
        stats = node.client.store_stats()
        print(f"              the store holds {stats['entries']} entries in "
              f"{stats['used_bytes']:,} bytes")


if __name__ == "__main__":
    try:
        main()
    except spolia.SpoliaError as error:
        sys.exit(f"node.py: {error}")
