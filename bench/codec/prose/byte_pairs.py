"""Byte-level BPE merges learnt from word counts, in the time a corpus of tens of megabytes needs: the
counts of pairs are kept up to date rather than counted anew for every merge."""

import collections
import heapq


def learn_merges(counts, merges_wanted):
    """counts: {tuple of symbols: times}. Most frequent pair first, ties by the pair's spelling."""
    words = [[list(parts), times] for parts, times in sorted(counts.items())]
    pairs, places = collections.Counter(), collections.defaultdict(set)
    for at, (parts, times) in enumerate(words):
        for pair in zip(parts, parts[1:]):
            pairs[pair] += times
            places[pair].add(at)
    heap = [(-times, pair) for pair, times in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < merges_wanted:
        times, pair = heapq.heappop(heap)
        if pairs[pair] != -times:
            continue
        merges.append(pair)
        changed = set()
        for at in places.pop(pair):
            merge_in(words[at], pair, pairs, places, at, changed)
        pairs.pop(pair, None)
        for other in changed:
            if pairs.get(other, 0) > 0:
                heapq.heappush(heap, (-pairs[other], other))
    return merges


def merge_in(word, pair, pairs, places, place, changed):
    parts, times = word
    for old in zip(parts, parts[1:]):
        pairs[old] -= times
        changed.add(old)
    out, at = [], 0
    while at < len(parts):
        if at + 1 < len(parts) and (parts[at], parts[at + 1]) == pair:
            out.append(parts[at] + parts[at + 1])
            at += 2
        else:
            out.append(parts[at])
            at += 1
    word[0] = out
    for new in zip(out, out[1:]):
        pairs[new] += times
        places[new].add(place)
        changed.add(new)
