"""Smoothed 2-gram and 3-gram models of token ids: what a language model has to beat.

Witten-Bell: what follows a context n times, t kinds of it, counts n / (n + t), the shorter context's
probability t / (n + t); below single tokens lies the uniform distribution.
"""

import collections
import math


def count(tokens, order):
    """(context and token -> times, context -> times, context -> kinds) of contexts of order - 1."""
    grams = collections.Counter(zip(*(tokens[i:len(tokens) - order + 1 + i] for i in range(order))))
    totals, kinds = collections.Counter(), collections.Counter()
    for gram, times in grams.items():
        totals[gram[:-1]] += times
        kinds[gram[:-1]] += 1
    return grams, totals, kinds


def losses(train, held, most=3, vocabulary=4096):
    """Nats a token of `held` under models of order 1 to `most`."""
    train, held = train.tolist(), held.tolist()
    tables = [count(train, order) for order in range(1, most + 1)]
    sums = [0.0] * most
    for at in range(most - 1, len(held)):
        p = 1 / vocabulary
        for order, (grams, totals, kinds) in enumerate(tables, 1):
            context = tuple(held[at - order + 1:at])
            n, t = totals[context], kinds[context]
            if n:
                p = (grams[context + (held[at],)] + t * p) / (n + t)
            sums[order - 1] -= math.log(p)
    return [s / (len(held) - most + 1) for s in sums]


def report(train, held):
    _, two, three = losses(train, held)
    return f"2-gram {two:.3f}, 3-gram {three:.3f} nats a token of the held-out text"
